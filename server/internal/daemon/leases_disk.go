package daemon

import "runtime"

// spareProcessor lets Go code run while a transaction waits for the disk, also where the process may use one processor
// core only. SQLite waits in C code, and the runtime takes the right to run Go code back from that only when its monitor
// next looks, up to 10 ms later: with one such right in all, part of the core idles while clients wait.
func spareProcessor() {
	const least = 2
	if runtime.GOMAXPROCS(0) < least {
		runtime.GOMAXPROCS(least)
	}
}
