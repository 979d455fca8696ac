package bmctest

import (
	"io"
	"net/http"
	"strconv"
)

// healthy is the status of everything here.
func healthy() resource { return resource{"State": "Enabled", "Health": "OK"} }

func (s *redfishService) root() resource {
	return resource{
		"@odata.id": rootPath + "/", "@odata.type": "#ServiceRoot.v1_16_0.ServiceRoot",
		"Id": "RootService", "Name": "Root Service", "RedfishVersion": "1.20.0", "UUID": s.id.UUID,
		"Product": "Metalform virtual BMC", "Vendor": "Metalform",
		"Systems":        link("/redfish/v1/Systems"),
		"Managers":       link("/redfish/v1/Managers"),
		"Chassis":        link("/redfish/v1/Chassis"),
		"SessionService": link("/redfish/v1/SessionService"),
		"Links":          resource{"Sessions": link(sessionsPath)},
	}
}

// odata is the OData service document (DSP0266, 8.4.3).
func (s *redfishService) odata() resource {
	var entries []resource
	for _, name := range []string{"Systems", "Managers", "Chassis", "SessionService"} {
		entries = append(entries, resource{"name": name, "kind": "Singleton", "url": rootPath + "/" + name})
	}
	return resource{"@odata.context": "/redfish/v1/$metadata", "value": entries}
}

// metadata is the OData metadata document (DSP0266, 8.4.2), as short as it may be.
func metadata(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/xml")
	_, err := io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?>
<edmx:Edmx xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx" Version="4.0">
  <edmx:Reference Uri="http://redfish.dmtf.org/schemas/v1/ServiceRoot_v1.xml"><edmx:Include Namespace="ServiceRoot"/></edmx:Reference>
  <edmx:DataServices>
    <Schema xmlns="http://docs.oasis-open.org/odata/ns/edm" Namespace="Service">
      <EntityContainer Name="Service" Extends="ServiceRoot.v1_16_0.ServiceContainer"/>
    </Schema>
  </edmx:DataServices>
</edmx:Edmx>
`)
	return err
}

func sessionService() resource {
	return resource{
		"@odata.id": "/redfish/v1/SessionService", "@odata.type": "#SessionService.v1_1_9.SessionService",
		"Id": "SessionService", "Name": "Session Service", "ServiceEnabled": true,
		"SessionTimeout": int(sessionLife.Seconds()), "Sessions": link(sessionsPath), "Status": healthy(),
	}
}

func (s *redfishService) manager() resource {
	return resource{
		"@odata.id": managerPath, "@odata.type": "#Manager.v1_19_0.Manager",
		"Id": "1", "Name": "Manager", "ManagerType": "BMC", "FirmwareVersion": "1.0", "UUID": s.id.UUID, "PowerState": "On",
		"Status": healthy(),
		"Links":  resource{"ManagerForServers": []resource{link(systemPath)}, "ManagerForChassis": []resource{link(chassisPath)}},
	}
}

func (s *redfishService) chassis(power string) resource {
	return resource{
		"@odata.id": chassisPath, "@odata.type": "#Chassis.v1_25_0.Chassis",
		"Id": "1", "Name": "Chassis", "ChassisType": "RackMount", "Model": s.id.Model, "SerialNumber": s.id.Serial,
		"PowerState": power, "Status": healthy(),
		"Links": resource{"ComputerSystems": []resource{link(systemPath)}, "ManagedBy": []resource{link(managerPath)}},
	}
}

func (s *redfishService) interfaces() resource {
	var paths []string
	for n := range s.id.MACs {
		paths = append(paths, systemPath+"/EthernetInterfaces/"+strconv.Itoa(n+1))
	}
	return collection(systemPath+"/EthernetInterfaces", "EthernetInterfaceCollection", "Ethernet interfaces", paths...)
}

// ethernetInterface returns the n-th interface, counted from 1.
func (s *redfishService) ethernetInterface(n int) resource {
	id := strconv.Itoa(n)
	return resource{
		"@odata.id": systemPath + "/EthernetInterfaces/" + id, "@odata.type": "#EthernetInterface.v1_12_0.EthernetInterface",
		"Id": id, "Name": "Interface " + id, "InterfaceEnabled": true, "LinkStatus": "LinkUp", "Status": healthy(),
		"MACAddress": s.id.MACs[n-1], "PermanentMACAddress": s.id.MACs[n-1],
	}
}
