resource "metal_subnet" "office" {
  name = "office"
  cidr = "10.30.0.0/22"

  dhcp = {
    mode = "authoritative"
  }
}

resource "metal_ip_range" "guests" {
  name   = "guests"
  subnet = metal_subnet.office.name
  first  = "10.30.2.0"
  last   = "10.30.3.254"

  # Guests are told another name of the log server than everybody else.
  options = {
    syslog = ["10.30.0.5"]
  }
}

# The hypervisors' own tool hands these out.
resource "metal_ip_range" "hypervisors" {
  name   = "hypervisors"
  subnet = metal_subnet.office.name
  first  = "10.30.1.0"
  last   = "10.30.1.255"
  kind   = "reserved"
}
