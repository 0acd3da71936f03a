//! `seclude why`: what is answered about a container that is not there, against what one finds that is.

mod random;
