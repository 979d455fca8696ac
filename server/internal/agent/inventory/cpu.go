package inventory

import (
	"path/filepath"
	"strconv"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// cpu counts processors by their topology in sysfs. /proc/cpuinfo names the model on x86 only; elsewhere the
// firmware's tables do.
func (s Sources) cpu(table []structure) metal.CPU {
	info := parseCPUInfo(text(s.Proc, "cpuinfo"))
	c := metal.CPU{Model: info.model, Flags: info.flags, MaxMHz: info.mhz}
	model, mhz := processorOf(table)
	if c.Model == "" {
		c.Model = model
	}
	sockets, cores := map[int]bool{}, map[[3]int]bool{}
	processors, _ := filepath.Glob(filepath.Join(s.Sys, "devices/system/cpu/cpu[0-9]*")) // the pattern is well formed
	for _, dir := range processors {
		topology := filepath.Join(dir, "topology")
		socket, core := number(-1, topology, "physical_package_id"), number(-1, topology, "core_id")
		if core < 0 {
			continue // offline
		}
		sockets[socket] = true
		cores[[3]int{socket, number(0, topology, "die_id"), core}] = true
		c.Threads++
	}
	c.Sockets, c.Cores = len(sockets), len(cores)
	if c.Threads == 0 { // a kernel that tells no topology
		c.Sockets, c.Cores, c.Threads = 1, info.processors, info.processors
	}
	if khz := number(0, s.Sys, "devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"); khz > 0 {
		c.MaxMHz = khz / 1000
	} else if mhz > c.MaxMHz {
		c.MaxMHz = mhz
	}
	nodes, _ := filepath.Glob(filepath.Join(s.Sys, "devices/system/node/node[0-9]*"))
	c.NUMA = max(1, len(nodes))
	return c
}

type cpuInfo struct {
	model      string
	flags      []string
	mhz        int
	processors int
}

// parseCPUInfo reads /proc/cpuinfo: the first processor stands for all.
func parseCPUInfo(raw string) cpuInfo {
	var c cpuInfo
	for line := range strings.Lines(raw) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "processor":
			c.processors++
		case "model name":
			if c.model == "" {
				c.model = strings.Join(strings.Fields(value), " ")
			}
		case "flags", "Features":
			if c.flags == nil {
				c.flags = strings.Fields(value)
			}
		case "cpu MHz":
			if mhz, err := strconv.ParseFloat(value, 64); err == nil && c.mhz == 0 && mhz > 0 && mhz < 1e6 {
				c.mhz = int(mhz)
			}
		}
	}
	return c
}
