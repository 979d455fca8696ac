# Reads network-config version 2 (YAML as cloud-init and netplan know it) and prints one line for each thing to do:
#   if NAME | mac ADDRESS | dhcp | addr ADDRESS/BITS | gw ADDRESS | dns ADDRESS
# "if" begins an interface. Blocks and flow lists are both understood, routes other than the default are not.
function indent(s) { match(s, /^ */); return RLENGTH }
# route prints the default route as soon as both of its halves were seen, in whatever order.
function route() {
	if (to == "" || via == "") return
	if (to == "default" || to == "0.0.0.0/0") print "gw", via
	to = via = ""
}
{
	sub(/\r$/, ""); sub(/[ \t]+#.*$/, "")
	if ($0 ~ /^[ \t]*(#|$)/) next
	depth = indent($0)
	line = $0
	gsub(/[][,{}"']/, " ", line)
	if (line ~ /^ *ethernets *:/) { base = depth; inside = 1; level = -1; next }
	if (!inside) next
	if (depth <= base) { inside = 0; next }
	if (level < 0) level = depth
	if (depth == level && line ~ /: *$/) { name = line; gsub(/[ :]/, "", name); print "if", name; key = ""; next }
	n = split(line, word, /[ \t]+/)
	for (i = 1; i <= n; i++) {
		w = word[i]
		if (w == "" || w == "-") continue
		if (w ~ /^[a-z0-9_-]+:$/) { key = substr(w, 1, length(w) - 1); continue }
		if (key == "macaddress") print "mac", tolower(w)
		else if (key == "dhcp4" && w ~ /^(true|yes|on)$/) print "dhcp"
		else if (key == "gateway4") print "gw", w
		else if (key == "to") { to = w; route() }
		else if (key == "via") { via = w; route() }
		else if (key == "addresses" && w ~ /^[0-9.]+\/[0-9]+$/) print "addr", w
		else if (key == "addresses" && w ~ /^[0-9.]+$/) print "dns", w
	}
}
