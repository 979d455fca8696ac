// Package lab makes a virtual rack: QEMU machines on a bridge in a network namespace of its own, each with a virtual
// BMC that speaks IPMI or Redfish. A rack belongs to one process; when that process dies, in whatever way, its
// machines die with it, and the next Up of the same name or directory clears the rest away. It needs Linux and root.
package lab
