package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/metalform/terraform-provider-metal/server/internal/lab"
)

// workspace is a directory with the example's Terraform configuration and the values of its variables.
type workspace struct {
	d     *demo
	dir   string
	key   string // private SSH key
	env   []string
	image string // which of the two is deployed
	said  string // what the machine said over SSH last
	empty count  // what the second plan would do
}

const providerVersion = "0.1.0"

func (d *demo) workspace(a Assets) (*workspace, error) {
	w := &workspace{d: d, dir: filepath.Join(d.dir, "terraform"), key: filepath.Join(d.dir, "id_ed25519"), image: "a"}
	if err := os.CopyFS(w.dir, os.DirFS(d.Example)); err != nil {
		return nil, fmt.Errorf("copy %s: %w", d.Example, err)
	}
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "demo", "-f", w.key).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("make an SSH key: %w: %s", err, out)
	}
	if err := w.mirror(); err != nil {
		return nil, err
	}
	if err := w.variables(a); err != nil {
		return nil, err
	}
	url, tokenFile, caFile := d.rack.Access()
	token, err := os.ReadFile(tokenFile)
	if err != nil {
		return nil, err
	}
	w.env = append(os.Environ(), "METAL_URL="+url, "METAL_TOKEN="+strings.TrimSpace(string(token)), "METAL_CA_FILE="+caFile,
		"TF_CLI_CONFIG_FILE="+filepath.Join(d.dir, "terraformrc"), "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1")
	return w, nil
}

// mirror puts the provider where terraform init finds it without a registry.
func (w *workspace) mirror() error {
	root := filepath.Join(w.d.dir, "mirror")
	for _, host := range []string{"registry.terraform.io", "registry.opentofu.org"} {
		dir := filepath.Join(root, host, "metalform/metal", providerVersion, runtime.GOOS+"_"+runtime.GOARCH)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		program, err := filepath.Abs(filepath.Join(w.d.Programs, "terraform-provider-metal"))
		if err != nil {
			return err
		}
		if err := os.Symlink(program, filepath.Join(dir, "terraform-provider-metal_v"+providerVersion)); err != nil {
			return err
		}
	}
	config := fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", root)
	return os.WriteFile(filepath.Join(w.d.dir, "terraformrc"), []byte(config), 0o600)
}

// variables writes what the example asks for.
func (w *workspace) variables(a Assets) error {
	state := w.d.rack.Lab.State()
	public, err := os.ReadFile(w.key + ".pub")
	if err != nil {
		return err
	}
	machine := func(m lab.Machine) map[string]any {
		return map[string]any{"mac": m.MACs[0], "bmc": map[string]any{
			"type": m.BMC.Type, "address": m.BMC.Address, "username": m.BMC.Username, "tls_insecure": m.BMC.Type == lab.Redfish,
		}}
	}
	one, two := state.Machines[0], state.Machines[1]
	values := map[string]any{
		"cidr": state.Subnet.String(), "gateway": state.Host.String(), "ssh_public_key": strings.TrimSpace(string(public)),
		"images": map[string]string{"a": a.ImageA, "b": a.ImageB}, "n1": machine(one), "n2": machine(two),
		"bmc_passwords": map[string]string{"n1": one.BMC.Password.Reveal(), "n2": two.BMC.Password.Reveal()},
	}
	text, err := json.Marshal(values)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(w.dir, "demo.auto.tfvars.json"), text, 0o600)
}

// command makes a command inside the rack's network, where metald is.
func (w *workspace) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	inner := w.d.rack.Command(name, args...)
	cmd := exec.CommandContext(ctx, inner.Args[0], inner.Args[1:]...)
	cmd.Dir, cmd.Env = w.dir, append(w.env, "TF_VAR_image="+w.image)
	// Terraform is asked to stop, once, and not killed: it keeps its state. The terminal's own Ctrl-C must not reach
	// it as well: two interrupts make it drop everything.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	return cmd
}

// run runs Terraform and shows what it prints, indented.
func (w *workspace) run(ctx context.Context, args ...string) error {
	cmd := w.command(ctx, w.d.Terraform, args...)
	out := &indent{to: w.d.Out}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", w.d.Terraform, args[0], err)
	}
	return nil
}

// wantEmptyPlan plans again, and fails unless nothing would change.
func (w *workspace) wantEmptyPlan(ctx context.Context) error {
	if err := w.run(ctx, "plan", "-input=false", "-no-color", "-out=second.plan"); err != nil {
		return err
	}
	text, err := w.command(ctx, w.d.Terraform, "show", "-json", "second.plan").Output()
	if err != nil {
		return fmt.Errorf("show the plan: %w", err)
	}
	if w.empty, err = countPlan(text); err != nil {
		return err
	}
	fmt.Fprintln(w.d.Out, "  ", w.empty)
	if w.empty != (count{}) {
		return errors.New("the second plan is not empty")
	}
	return nil
}

func (w *workspace) ssh(ctx context.Context, address string, more ...string) *exec.Cmd {
	return w.command(ctx, "ssh", append([]string{
		"-i", w.key, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
		"-o", "ConnectTimeout=10", "debian@" + address,
	}, more...)...)
}

// login runs a command over SSH, and checks that the name and the image are what was asked for.
func (d *demo) login(ctx context.Context, w *workspace, address, version string) error {
	const ask = `echo "I am $(hostname), $(sed -n 's/^PRETTY_NAME=//p' /etc/os-release), image $(sed -n 's/^VERSION=//p' /etc/os-release), up $(cut -d' ' -f1 /proc/uptime) s"`
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		out, err := w.ssh(ctx, address, ask).CombinedOutput()
		if err == nil {
			w.said = fmt.Sprintf("$ ssh debian@%s\n%s", address, bytes.TrimSpace(out))
			fmt.Fprintf(d.Out, "   %s\n", bytes.TrimSpace(out))
			if !bytes.Contains(out, []byte("I am web,")) || !bytes.Contains(out, []byte(version)) {
				return fmt.Errorf("the machine says %q; want the name web and image %s", out, version)
			}
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("log in to %s: %w: %s", address, err, out)
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// shell gives the terminal to a shell on the machine.
func (w *workspace) shell(ctx context.Context, address string) error {
	cmd := w.ssh(ctx, address)
	cmd.SysProcAttr = nil // the shell has the terminal
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) { // the last command of the shell failed: no matter
		return nil
	}
	return err
}

// indent moves every line to the right.
type indent struct {
	to    io.Writer
	inner bool // within a line
}

func (i *indent) Write(p []byte) (int, error) {
	for _, line := range bytes.SplitAfter(p, []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		if !i.inner {
			if _, err := io.WriteString(i.to, "   | "); err != nil {
				return 0, err
			}
		}
		if _, err := i.to.Write(line); err != nil {
			return 0, err
		}
		i.inner = line[len(line)-1] != '\n'
	}
	return len(p), nil
}
