"""Evenhand: which moderator decisions would an expert overturn, and how often is moderation wrong?"""

__version__ = "0.2.0"
