//! What is done with images.
