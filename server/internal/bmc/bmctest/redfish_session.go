package bmctest

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	sessionsPath = "/redfish/v1/SessionService/Sessions"
	// sessionLife is how long a session lasts without a request.
	sessionLife = 30 * time.Minute
	// maxSessions is small, as on real BMCs, so that a client that does not log out is found out.
	maxSessions = 16
)

// redfishSessions are the sessions that are open.
type redfishSessions struct {
	account Account

	mu   sync.Mutex
	last int
	open map[string]*redfishSession // by id
}

type redfishSession struct {
	id    string
	token string
	used  time.Time
}

func newRedfishSessions(account Account) *redfishSessions {
	return &redfishSessions{account: account, open: map[string]*redfishSession{}}
}

// login opens a session.
func (s *redfishSessions) login(username, password string, now time.Time) (*redfishSession, error) {
	if !s.known(username, password) {
		return nil, failf(http.StatusUnauthorized, "ResourceAtUriUnauthorized", "The user name or password is wrong.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	if len(s.open) >= maxSessions {
		return nil, failf(http.StatusServiceUnavailable, "SessionLimitExceeded",
			"The session establishment failed due to the number of simultaneous sessions exceeding the limit of the implementation.")
	}
	s.last++
	session := &redfishSession{id: strconv.Itoa(s.last), token: rand.Text(), used: now}
	s.open[session.id] = session
	return session, nil
}

// logout closes a session and says whether there was one.
func (s *redfishSessions) logout(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.open[id]
	delete(s.open, id)
	return ok
}

// exists says whether a session is open.
func (s *redfishSessions) exists(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[id] != nil
}

// paths returns the paths of the sessions that are open, oldest first.
func (s *redfishSessions) paths() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var paths []string
	for n := 1; n <= s.last; n++ {
		if id := strconv.Itoa(n); s.open[id] != nil {
			paths = append(paths, sessionsPath+"/"+id)
		}
	}
	return paths
}

// authorized says whether a request carries a session's token or Basic credentials (DSP0266, 13.3).
func (s *redfishSessions) authorized(r *http.Request, now time.Time) bool {
	if token := r.Header.Get("X-Auth-Token"); token != "" {
		return s.touch(token, now)
	}
	username, password, ok := r.BasicAuth()
	return ok && s.known(username, password)
}

// touch keeps the session of a token open.
func (s *redfishSessions) touch(token string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	for _, session := range s.open {
		if same(session.token, token) {
			session.used = now
			return true
		}
	}
	return false
}

// expire forgets sessions nobody uses. s.mu is held.
func (s *redfishSessions) expire(now time.Time) {
	for id, session := range s.open {
		if now.Sub(session.used) > sessionLife {
			delete(s.open, id)
		}
	}
}

func (s *redfishSessions) known(username, password string) bool {
	return same(s.account.Username, username) && same(s.account.Password.Reveal(), password)
}

// same compares in constant time.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

func (s *redfishSessions) resource(id string) resource {
	return resource{
		"@odata.id": sessionsPath + "/" + id, "@odata.type": "#Session.v1_7_0.Session",
		"Id": id, "Name": "Session " + id, "UserName": s.account.Username,
	}
}
