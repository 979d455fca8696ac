package program

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func runner(t *testing.T) *Runner {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("root is missing")
		}
		t.Skip("root is missing")
	}
	return &Runner{Start: (*exec.Cmd).Run, Log: slog.New(slog.DiscardHandler)}
}

func TestOutputIsReturnedAndInputIsRead(t *testing.T) {
	got, err := runner(t).Run(t.Context(), "/", []byte("secret"), "sh", "-c", `cat; echo; echo $DM_DISABLE_UDEV; echo noise >&2`)
	if err != nil || got != "secret\n1\n" {
		t.Errorf("got %q, %v; want the input, the variable, and no noise", got, err)
	}
}

func TestAFailureTellsTheProgramsLastLines(t *testing.T) {
	_, err := runner(t).Run(t.Context(), "/", []byte("open sesame"), "sh", "-c", "seq 100 >&2; echo disk is on fire >&2; exit 3")
	if err == nil || !strings.Contains(err.Error(), "exit status 3: disk is on fire") || strings.Contains(err.Error(), "sesame") {
		t.Fatalf("got %v; want the last line and not the input", err)
	}
	var told *metal.Error
	if !errors.As(err, &told) {
		t.Fatalf("got %T; want an error of the domain", err)
	}
	detail := told.Detail
	if lines := strings.Split(detail, "\n"); len(lines) != tailLines || lines[0] != "82" {
		t.Errorf("got detail %q; want the last %d lines", detail, tailLines)
	}
}

func TestAProgramThatIsNotThereIsNamed(t *testing.T) {
	if _, err := runner(t).Run(t.Context(), "/", nil, "no-such-program"); err == nil || !strings.Contains(err.Error(), "no-such-program") {
		t.Errorf("got %v", err)
	}
	if _, err := runner(t).Run(t.Context(), t.TempDir(), nil, "sh"); err == nil {
		t.Error("an empty root: got no error")
	}
}

func TestACalledOffProgramEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := runner(t)
	r.Start = func(cmd *exec.Cmd) error {
		if err := cmd.Start(); err != nil {
			return err
		}
		cancel()
		return cmd.Wait()
	}
	if _, err := r.Run(ctx, "/", nil, "sleep", "3600"); metal.CodeOf(err) != metal.Conflict {
		t.Errorf("got %v; want Conflict", err)
	}
}

func TestTheEndOfALongOutputIsKept(t *testing.T) {
	got, err := runner(t).Run(t.Context(), "/", nil, "sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x; echo end")
	if err != nil || len(got) != keptBytes || !strings.HasSuffix(got, "xend\n") {
		t.Errorf("got %d bytes, %v; want the last %d", len(got), err, keptBytes)
	}
}
