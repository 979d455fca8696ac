// Package metal is the domain: machines, their life-cycle, networks, images and errors, as the server and its
// clients share them. It imports the standard library only and does no I/O; time is an argument.
package metal
