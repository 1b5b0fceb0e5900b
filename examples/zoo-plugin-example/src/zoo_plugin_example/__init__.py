"""Fast-SCNN for Zoo. Nothing is imported here, so that importing the package costs nothing."""
