"""What ``dispatcher doctor`` looks at, one module for each subject. Nothing here changes anything unless asked to."""
