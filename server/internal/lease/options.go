package lease

import (
	"slices"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// merge returns options of which those in over win: each field for itself, custom ones by code.
func merge(o, over metal.DHCPOptions) metal.DHCPOptions {
	if over.MTU != 0 {
		o.MTU = over.MTU
	}
	if over.BootServer != "" {
		o.BootServer = over.BootServer
	}
	if over.BootFile != "" {
		o.BootFile = over.BootFile
	}
	if len(over.Syslog) > 0 {
		o.Syslog = over.Syslog
	}
	if over.TimeZone != "" {
		o.TimeZone = over.TimeZone
	}
	if over.WPAD != "" {
		o.WPAD = over.WPAD
	}
	if len(over.Custom) == 0 {
		return o
	}
	custom := slices.Clone(o.Custom)
	custom = slices.DeleteFunc(custom, func(c metal.DHCPOption) bool {
		return slices.ContainsFunc(over.Custom, func(w metal.DHCPOption) bool { return w.Code == c.Code })
	})
	o.Custom = append(custom, over.Custom...)
	return o
}
