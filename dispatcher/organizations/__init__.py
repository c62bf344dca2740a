"""Organizations as a whole: erasing one."""
