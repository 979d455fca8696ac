"""Drives a Redfish service with OpenStack's sushy and prints one JSON object of what it saw."""
import json
import sys
import warnings

import sushy
from sushy import auth

warnings.filterwarnings("ignore")  # the certificate is self-signed
url, username, password, kind = sys.argv[1:5]
login = {"session": auth.SessionAuth, "basic": auth.BasicAuth}[kind](username, password)
root = sushy.Sushy(url, verify=False, auth=login)
seen = {"version": root.redfish_version}

system = root.get_system(root.get_system_collection().members_identities[0])
seen["serial"], seen["uuid"], seen["power"] = system.serial_number, system.uuid, [system.power_state.value]
seen["resets"] = sorted(r.value for r in system.get_allowed_reset_system_values())
seen["macs"] = sorted(system.ethernet_interfaces.summary)
seen["managers"] = [m.manager_type.value for m in system.managers]
seen["chassis"] = [c.chassis_type.value for c in system.chassis]

system.set_system_boot_options(sushy.BootSource.PXE, sushy.BootSourceOverrideEnabled.ONCE, sushy.BootSourceOverrideMode.LEGACY)
system.refresh(force=True)
seen["boot"] = [system.boot.target.value, system.boot.enabled.value, system.boot.mode.value]
for reset in (sushy.ResetType.ON, sushy.ResetType.FORCE_RESTART, sushy.ResetType.GRACEFUL_SHUTDOWN):
    system.reset_system(reset)
    system.refresh(force=True)
    seen["power"].append(system.power_state.value)
seen["left"] = system.boot.enabled.value
try:
    system.reset_system(sushy.ResetType.NMI)
except sushy.exceptions.SushyError as e:
    seen["refused"] = type(e).__name__
if kind == "session":
    login.close()
json.dump(seen, sys.stdout)
