package bmctest

import (
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	rootPath    = "/redfish/v1"
	systemPath  = "/redfish/v1/Systems/1"
	managerPath = "/redfish/v1/Managers/1"
	chassisPath = "/redfish/v1/Chassis/1"
)

// redfishService is the HTTP side of a Redfish BMC.
type redfishService struct {
	id       Identity
	faults   func() Faults
	log      *slog.Logger
	sessions *redfishSessions
	system   *redfishSystem
	mux      *http.ServeMux
}

// A redfishHandler answers by itself, or returns the error to answer with.
type redfishHandler func(http.ResponseWriter, *http.Request) error

func newRedfishService(hw Hardware, id Identity, acc Account, faults func() Faults, log *slog.Logger) *redfishService {
	s := &redfishService{
		id: id, faults: faults, log: log, sessions: newRedfishSessions(acc), mux: http.NewServeMux(),
		system: &redfishSystem{hw: hw, id: id, faults: faults},
	}
	for pattern, h := range map[string]redfishHandler{ // what is open to everybody (DSP0266, 13.3.2)
		"GET /redfish":          fixed(func() resource { return resource{"v1": rootPath + "/"} }),
		"GET " + rootPath:       fixed(s.root),
		"GET /redfish/v1/odata": fixed(s.odata),
		"POST " + sessionsPath:  s.login,
	} {
		s.handle(pattern, h)
	}
	s.handle("GET /redfish/v1/$metadata", metadata)
	for pattern, h := range map[string]redfishHandler{
		"GET /redfish/v1/SessionService":   fixed(sessionService),
		"GET " + sessionsPath:              s.listSessions,
		"GET " + sessionsPath + "/{id}":    s.showSession,
		"DELETE " + sessionsPath + "/{id}": s.logout,

		"GET /redfish/v1/Systems": fixed(func() resource {
			return collection("/redfish/v1/Systems", "ComputerSystemCollection", "Systems", systemPath)
		}),
		"GET " + systemPath:   s.system.show,
		"PATCH " + systemPath: s.system.patch,
		"POST " + systemPath + "/Actions/ComputerSystem.Reset": s.system.reset,
		"GET " + systemPath + "/EthernetInterfaces":            fixed(s.interfaces),
		"GET " + systemPath + "/EthernetInterfaces/{number}":   s.showInterface,
		"GET /redfish/v1/Managers": fixed(func() resource {
			return collection("/redfish/v1/Managers", "ManagerCollection", "Managers", managerPath)
		}),
		"GET " + managerPath: fixed(s.manager),
		"GET /redfish/v1/Chassis": fixed(func() resource {
			return collection("/redfish/v1/Chassis", "ChassisCollection", "Chassis", chassisPath)
		}),
		"GET " + chassisPath: s.showChassis,
	} {
		s.handle(pattern, s.guarded(h))
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.finish(answerError(w, failf(http.StatusNotFound, "ResourceMissingAtURI", "The resource at the URI '%s' was not found.", r.URL.Path)))
	})
	return s
}

// ServeHTTP treats a trailing slash as absent (DSP0266, 6.5) and refuses protocol versions other than 4.0 (7.2).
func (s *redfishService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if delay := s.faults().SlowBy; delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return
		}
	}
	w.Header().Set("OData-Version", "4.0")
	w.Header().Set("Cache-Control", "no-cache")
	if v := r.Header.Get("OData-Version"); v != "" && v != "4.0" {
		s.finish(answerError(w, failf(http.StatusPreconditionFailed, "HeaderInvalid", "Header 'OData-Version: %s' is invalid.", v)))
		return
	}
	if path := strings.TrimRight(r.URL.Path, "/"); path != r.URL.Path && path != "" {
		r = r.Clone(r.Context())
		r.URL.Path, r.URL.RawPath = path, ""
	}
	s.mux.ServeHTTP(w, r)
}

func (s *redfishService) handle(pattern string, h redfishHandler) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		err := h(w, r)
		if err != nil {
			s.log.Info("request refused", "method", r.Method, "path", r.URL.Path, "error", err)
			err = answerError(w, err)
		}
		s.finish(err)
	})
}

// finish notes an answer that could not be written; its client has gone.
func (s *redfishService) finish(err error) {
	if err != nil {
		s.log.Debug("answer not written", "error", err)
	}
}

func (s *redfishService) guarded(h redfishHandler) redfishHandler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !s.sessions.authorized(r, time.Now()) {
			return failf(http.StatusUnauthorized, "NoValidSession", "There is no valid session established with the implementation.")
		}
		return h(w, r)
	}
}

func fixed(make func() resource) redfishHandler {
	return func(w http.ResponseWriter, _ *http.Request) error { return answer(w, http.StatusOK, make()) }
}

func (s *redfishService) login(w http.ResponseWriter, r *http.Request) error {
	var body struct{ UserName, Password string }
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	session, err := s.sessions.login(body.UserName, body.Password, time.Now())
	if err != nil {
		return err
	}
	w.Header().Set("X-Auth-Token", session.token)
	w.Header().Set("Location", sessionsPath+"/"+session.id)
	return answer(w, http.StatusCreated, s.sessions.resource(session.id))
}

func (s *redfishService) listSessions(w http.ResponseWriter, _ *http.Request) error {
	return answer(w, http.StatusOK, collection(sessionsPath, "SessionCollection", "Sessions", s.sessions.paths()...))
}

func (s *redfishService) showSession(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if !s.sessions.exists(id) {
		return failf(http.StatusNotFound, "ResourceNotFound", "The session '%s' was not found.", id)
	}
	return answer(w, http.StatusOK, s.sessions.resource(id))
}

func (s *redfishService) logout(w http.ResponseWriter, r *http.Request) error {
	if id := r.PathValue("id"); !s.sessions.logout(id) {
		return failf(http.StatusNotFound, "ResourceNotFound", "The session '%s' was not found.", id)
	}
	return answer(w, http.StatusNoContent, nil)
}

func (s *redfishService) showInterface(w http.ResponseWriter, r *http.Request) error {
	n, err := strconv.Atoi(r.PathValue("number"))
	if err != nil || n < 1 || n > len(s.id.MACs) {
		return failf(http.StatusNotFound, "ResourceNotFound", "The interface '%s' was not found.", r.PathValue("number"))
	}
	return answer(w, http.StatusOK, s.ethernetInterface(n))
}

func (s *redfishService) showChassis(w http.ResponseWriter, r *http.Request) error {
	power, err := s.system.powerState(r.Context())
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, s.chassis(power))
}
