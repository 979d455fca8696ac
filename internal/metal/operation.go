package metal

import "time"

// An Operation is one long piece of work: what was asked, how far it is, how it ended.
type Operation struct {
	ID        string          `json:"id"`
	Kind      OperationKind   `json:"kind"`
	MachineID string          `json:"machine_id,omitempty"`
	Image     string          `json:"image,omitempty" doc:"The image, for an import"`
	Status    OperationStatus `json:"status"`
	Step      string          `json:"step,omitempty" doc:"The step it is at, or ended in"`
	// Progress is of the present step, 0 to 1.
	Progress float64 `json:"progress" doc:"Of the present step, 0 to 1"`
	// Job numbers the worker: only the holder of the present number may write.
	Job      int64    `json:"job" doc:"Number of the present worker"`
	Attempts int      `json:"attempts" doc:"How often the present step was tried"`
	Key      string   `json:"key,omitempty" doc:"The caller's idempotency key"`
	LogTail  []string `json:"log_tail,omitempty" doc:"The last lines of its log"`
	// Warnings are what went wrong without making it fail, one text each.
	Warnings  []string  `json:"warnings,omitempty" doc:"What went wrong without making it fail, as cloud-init's errors on a deployed system"`
	Failure   *Failure  `json:"failure,omitempty"`
	StartedAt time.Time `json:"started_at"`
	ChangedAt time.Time `json:"changed_at"`
	Deadline  time.Time `json:"deadline" doc:"When it fails at the latest"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
}

// OperationKind names a kind of work.
type OperationKind string

const (
	OpCommission OperationKind = "commission"
	OpDeploy     OperationKind = "deploy"
	OpUndeploy   OperationKind = "undeploy"
	OpRelease    OperationKind = "release"
	OpPower      OperationKind = "power"
	OpImport     OperationKind = "import"
)

// OperationStatus is open until the operation ended in one of the other three ways.
type OperationStatus string

const (
	OpOpen    OperationStatus = "open"
	OpDone    OperationStatus = "done"
	OpFailed  OperationStatus = "failed"
	OpAborted OperationStatus = "aborted"
)

// Ended says whether the operation is over.
func (o *Operation) Ended() bool { return o.Status != OpOpen }

// A Failure says why an operation failed, so that a person can act on it.
type Failure struct {
	Step    string `json:"step" doc:"The step that failed"`
	Message string `json:"message" doc:"What was tried, on what, what happened, what to do"`
	Detail  string `json:"detail,omitempty" doc:"Evidence: log tail, the BMC's own message"`
}

// An Event is one change, as the event stream tells it.
type Event struct {
	Seq     int64     `json:"seq"`
	At      time.Time `json:"at"`
	Kind    string    `json:"kind" doc:"machine, operation, image, subnet, lease, security, ..."`
	Subject string    `json:"subject" doc:"Id or name of the thing"`
	Text    string    `json:"text"`
}
