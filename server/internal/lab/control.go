package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Action is what a person does to a machine of a lab.
type Action string

const (
	PowerOn  Action = "on"
	PowerOff Action = "off" // hard
	Reset    Action = "reset"
)

// MachineStatus is one machine of a running lab at one moment.
type MachineStatus struct {
	Name  string           `json:"name"`
	MAC   metal.MAC        `json:"mac"`
	Power metal.Power      `json:"power"`
	Boot  metal.BootDevice `json:"boot_override,omitempty"` // "" is none
	Once  bool             `json:"boot_once,omitempty"`
	BMC   string           `json:"bmc"`
	// Address is the BMC's.
	Address string `json:"address"`
}

// drainTime is how long a stopping control service waits for requests under way.
const drainTime = 5 * time.Second

// Control lets other programs on the computer reach a lab, through a socket in its directory that only root can open.
type Control struct {
	lab      *Lab
	listener net.Listener
	log      *slog.Logger
}

// NewControl opens the socket. The error is Invalid when the directory's path is too long for one.
func NewControl(l *Lab, log *slog.Logger) (*Control, error) {
	path := socketPath(l.cfg.Dir)
	if most := len(unix.RawSockaddrUnix{}.Path) - 1; len(path) > most {
		return nil, metal.Errorf(metal.Invalid, "lab directory %s: its path is too long for a socket in it, choose one that is %d bytes shorter", l.cfg.Dir, len(path)-most)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("open the lab's control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		listener.Close()
		return nil, fmt.Errorf("open the lab's control socket: %w", err)
	}
	return &Control{lab: l, listener: listener, log: log}, nil
}

// Run answers until ctx ends, and returns nil then.
func (c *Control) Run(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /machines", c.list)
	mux.HandleFunc("POST /machines/{name}/{action}", c.act)
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(c.log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		if server.Shutdown(drain) != nil {
			_ = server.Close()
		}
	})
	err := server.Serve(c.listener)
	if !stop() {
		<-stopped
		return nil
	}
	return fmt.Errorf("serve the lab's control socket: %w", err)
}

func (c *Control) list(w http.ResponseWriter, r *http.Request) {
	status, err := c.lab.Status(r.Context())
	answerJSON(w, status, err)
}

func (c *Control) act(w http.ResponseWriter, r *http.Request) {
	answerJSON(w, struct{}{}, c.lab.Act(r.Context(), r.PathValue("name"), Action(r.PathValue("action"))))
}

// refusal is an error on its way through the socket.
type refusal struct {
	Code    metal.Code `json:"code"`
	Message string     `json:"message"`
	Detail  string     `json:"detail,omitempty"`
}

func answerJSON(w http.ResponseWriter, value any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		value = refusalOf(err)
		w.WriteHeader(http.StatusConflict) // the code says more
	}
	_ = json.NewEncoder(w).Encode(value) // a caller that went away needs no answer
}

func refusalOf(err error) refusal {
	r := refusal{Code: metal.CodeOf(err), Message: err.Error()}
	var e *metal.Error
	if errors.As(err, &e) {
		r.Detail = e.Detail
	}
	return r
}

// Status tells how every machine is.
func (l *Lab) Status(ctx context.Context) ([]MachineStatus, error) {
	var all []MachineStatus
	for _, m := range l.state.Machines {
		s := describeStatus(m)
		var err error
		if s.Power, err = l.nodes[m.Name].Power(ctx); err != nil {
			return nil, err
		}
		if s.Boot, s.Once, err = l.nodes[m.Name].Boot(ctx); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// describeStatus is what is known of a machine without asking it.
func describeStatus(m Machine) MachineStatus {
	return MachineStatus{Name: m.Name, MAC: m.MACs[0], Power: metal.PowerUnknown, BMC: m.BMC.Type, Address: m.BMC.Address}
}

// Act does something to the machine called name, as a person at the rack would. The error is NotFound for an unknown
// machine and Invalid for an unknown action.
func (l *Lab) Act(ctx context.Context, name string, action Action) error {
	hw, err := l.Hardware(name)
	if err != nil {
		return err
	}
	switch action {
	case PowerOn:
		return hw.SetPower(ctx, true)
	case PowerOff:
		return hw.SetPower(ctx, false)
	case Reset:
		power, err := hw.Power(ctx)
		if err != nil {
			return err
		}
		if power == metal.PowerOff {
			return metal.Errorf(metal.Conflict, "reset %s: it is off", name)
		}
		return hw.Reset(ctx)
	}
	return metal.Errorf(metal.Invalid, "power action %q: it is %s, %s or %s", action, PowerOn, PowerOff, Reset)
}
