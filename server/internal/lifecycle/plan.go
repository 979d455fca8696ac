package lifecycle

import (
	"context"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// A step is one part of an operation. Running it twice does no harm: after a crash it is begun again.
type step struct {
	name  string
	says  string           // the line its beginning puts into the log
	state metal.State      // what the machine is in meanwhile; empty: as it is
	skip  func(*work) bool // nil: never
	agent bool             // the machine is to be in its RAM environment when it boots
	run   func(ctx context.Context, j *job) error
}

// plans are the steps of every kind of operation.
func plans() map[metal.OperationKind][]step {
	noErase := func(w *work) bool { return w.Erase == metal.EraseNone }
	return map[metal.OperationKind][]step{
		metal.OpCommission: {
			{name: "boot", says: "bring the machine into its RAM environment", state: metal.Commissioning, agent: true, run: bootAgent},
			{name: "inspect", says: "take the inventory", agent: true, run: inspect},
		},
		metal.OpDeploy: {
			{name: "boot", says: "bring the machine into its RAM environment", state: metal.Deploying, agent: true, run: bootAgent},
			{name: "write", says: "write the image to the disk", agent: true, run: writeImage},
			{name: "start", says: "start the installed system", run: startSystem},
			{name: "report", says: "wait until the installed system calls back", run: awaitReport},
			{name: "finish", says: "note what is deployed", run: finishDeploy},
		},
		metal.OpUndeploy: {
			{name: "boot", says: "bring the machine into its RAM environment", state: metal.Undeploying, agent: true, run: bootAgent},
			{name: "erase", says: "take the system off the disks", agent: true, run: erase},
		},
		metal.OpRelease: {
			{name: "boot", says: "bring the machine into its RAM environment", state: metal.Erasing, skip: noErase, agent: true, run: bootAgent},
			{name: "erase", says: "wipe the disks", state: metal.Erasing, skip: noErase, agent: true, run: erase},
			{name: "free", says: "give the machine back to its pool", state: metal.Releasing, agent: true, run: free},
		},
		metal.OpPower: {
			{name: "power", says: "switch the machine", run: switchPower},
		},
		metal.OpImport: {
			{name: "import", says: "fetch, verify and convert the image", run: importImage},
		},
	}
}

// wantsAgent says whether an operation at this step needs the machine to boot its RAM environment. A machine whose
// system was started in memory boots again only when that is lost.
func wantsAgent(kind metal.OperationKind, w *work) bool {
	plan := plans()[kind]
	return w.Step < len(plan) && (plan[w.Step].agent || w.inMemory())
}
