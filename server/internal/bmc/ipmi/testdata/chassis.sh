#!/bin/sh
# The chassis_control program of OpenIPMI's ipmi_sim (ipmi_lan(5)): DIR get|set|check PARAMETER [VALUE] ...
# DIR/power holds 0 or 1, DIR/boot the boot device, DIR/log what was set.
dir=$1 op=$2
shift 2
[ -s "$dir/power" ] || echo 0 >"$dir/power"
[ -s "$dir/boot" ] || echo default >"$dir/boot"
while [ $# -gt 0 ]; do
	case $op in
	get) case $1 in
		power | boot) echo "$1:$(cat "$dir/$1")" ;;
		*) echo "Invalid parameter: $1"; exit 1 ;;
		esac ;;
	set) echo "$1 $2" >>"$dir/log"
		case $1 in power | boot) echo "$2" >"$dir/$1" ;; esac
		shift ;;
	esac
	shift
done
