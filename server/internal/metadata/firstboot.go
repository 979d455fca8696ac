package metadata

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// FirstBootPath is where, below PhoneHomeURL, a system tells how its first boot went.
const FirstBootPath = "/first-boot"

// FirstBoot is what cloud-init made of a system's first boot.
type FirstBoot struct {
	// Over says that it has ended. A report before that only says that there will be another one.
	Over bool
	// Errors are cloud-init's own, one a line; empty when all went well. At most mostErrors.
	Errors []string
	// Log are the last lines of what the programs printed that cloud-init started; at most mostLines. Empty without errors.
	Log []string
}

const (
	mostErrors = 10
	mostLines  = 20
	mostLine   = 300 // characters
)

// ParseFirstBoot reads the report of the script in the vendor data. Anybody may have written it who has the machine:
// it is cut to what a person reads, and what is no text is left out. One that is no JSON of this form is Invalid.
func ParseFirstBoot(raw []byte) (FirstBoot, error) {
	var r struct {
		Over   bool     `json:"over"`
		Errors []string `json:"errors"`
		Log    string   `json:"log"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return FirstBoot{}, metal.Errorf(metal.Invalid, "the report of the first boot is not JSON of the form that the seed's script sends")
	}
	report := FirstBoot{Over: r.Over}
	for _, text := range r.Errors {
		report.Errors = append(report.Errors, readable(text)...)
	}
	report.Errors = report.Errors[:min(len(report.Errors), mostErrors)]
	if len(report.Errors) > 0 {
		report.Log = readable(r.Log)
		report.Log = report.Log[max(0, len(report.Log)-mostLines):]
	}
	return report, nil
}

// readable returns the lines of a text that have anything on them.
func readable(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(strings.Map(func(r rune) rune {
			switch {
			case r == utf8.RuneError || r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0:
				return -1
			case r == '\t':
				return ' '
			}
			return r
		}, line))
		if runes := []rune(line); len(runes) > mostLine {
			line = string(runes[:mostLine]) + "..."
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// watcher waits for the end of cloud-init and posts what it left: result.json has the errors of all stages. Python is
// there wherever cloud-init is. At most an hour: by then nobody waits for it any more.
const watcher = `import json,os,sys,time,urllib.request as u
def tell(**d):
 for _ in range(5):
  try:
   u.urlopen(u.Request(sys.argv[1],json.dumps(d).encode(),{"Content-Type":"application/json"}),timeout=10)
   return
  except OSError:
   time.sleep(2)
tell()
r="/run/cloud-init/result.json"
n=0
while n<3600 and not os.path.exists(r):
 time.sleep(1)
 n+=1
e=[str(x) for x in json.load(open(r))["v1"]["errors"]]
l=open("/var/log/cloud-init-output.log",errors="replace").read()[-8192:] if e else ""
tell(over=True,errors=e,log=l)
`

// watch is the command that starts the watcher, once in the life of an installation and in the background: nothing
// waits for it.
func watch(url string) []string {
	return []string{
		"cloud-init-per", "instance", "metald-first-boot",
		"sh", "-c", `python3 -c "$1" "$2" </dev/null >/dev/null 2>&1 &`, "sh", watcher, url,
	}
}
