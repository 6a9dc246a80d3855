"""The sync itself: what a photo change means, and how SharePoint is made to show it."""
