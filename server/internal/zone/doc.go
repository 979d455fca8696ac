// Package zone keeps the DNS zones that the server is authoritative for, in memory: the declared ones, and those that
// are there without, of subnets' domains and of their reverse names. It is told of machines, devices, reservations,
// leases and record sets one by one, makes their records, and answers from them. It does no I/O.
//
// Writers change Zones with a Batch, one at a time; readers take a View, which never changes, and never wait.
package zone
