//! Against the kernel, as root. Each test is in network namespaces of its own: a host, a neighbour of the host, and
//! containers. Nothing of the machine's own network is touched.

mod firewall;
mod link;
mod world;
