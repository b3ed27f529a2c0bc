//! Networks of containers: bridges, addresses, rules and ports, through the kernel's own interfaces.
//!
//! Nothing here keeps a database: the caller says what there should be, and gets back what to remember.
