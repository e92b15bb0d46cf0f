# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Switches and call servers tell kaloss what they saw: by snmptrap and logger, to `watch`.

CMN=1.3.6.1.4.1.9.9.215
PHONE1='00:24:14:00:00:01' STRANGER='00:de:ad:00:00:01'

# tuple OP MAC: of cmnHistMacChangedMsg, in VLAN 110 on bridge port 7.
tuple() {
  printf '%02x006e%s0007' "$1" "${2//:/}"
}

# changed HEX…: a cmnMacChangedNotification, from the server's network.
changed() {
  local message
  message=$(printf '%s' "$@")00
  lab_in server env MIBS= snmptrap -Lf "$WORK/snmptrap" "${SNMP[@]}" "$TRAP_TO" 4711 $CMN.2.0.1 \
    $CMN.1.1.8.1.2.1 x "$message"
}

# alarm DEVICE ADDRESS REASON OPTION…: by logger.
alarm() {
  local device=$1 address=$2 reason=$3
  shift 3
  lab_in server logger --server 10.2.0.1 --port 5514 "$@" \
    "41679: uc-ucm-01.lab Nov 22 2026 06:22:31 UTC :  %UC_CALLMANAGER-3-EndPointUnregistered:" \
    "%[DeviceName=$device][IPAddress=$address][Protocol=SCCP][DeviceType=436][Description=Phone]" \
    "[Reason=$reason][IPAddrAttributes=0][LastSignalReceived=StationUnregister]" \
    "[AppID=Cisco CallManager][ClusterID=StandAloneCluster][NodeID=uc-ucm-01]:" \
    "An endpoint has unregistered"
}

records() {
  jq -c "select($1)" "$WORK/records"
}

inputs() {
  TRAP_TO=udp:10.2.0.1:1162
  site routed 4
  server_start sccp
  install -m 600 /dev/stdin "$WORK/users" <<<"bob SHA bobs-secret AES bobs-other-secret"
  lab_bg box "$WORK/watch.err" "$KALOSS" watch --access acc0 --cucm cucm0 --format jsonl \
    --output "$WORK/records" --trap 10.2.0.1:1162 --trap-community site \
    --trap-auth "$WORK/users" --syslog 10.2.0.1:5514
  WATCH=$LAB_LAST_PID
  lab_wait_for "$WORK/records" '"type":"tick"' 60 || {
    fail "watch did not start: $(cat "$WORK/watch.err")"
    return
  }
  # Phone 1 loses every second keepalive in this host; the others lose nothing.
  lab_in box nft -f - <<-EOT
	table inet lab {
		chain forward {
			type filter hook forward priority 0
			ip saddr 10.1.0.2 tcp dport 2000 @ih,0,32 0x$KEEPALIVE numgen inc mod 2 1 drop
		}
	}
EOT
  phones 1 4 sccp --period 700 --duration 60000
  sleep 3

  SNMP=(-v2c -c site)
  changed "$(tuple 2 $PHONE1)" "$(tuple 2 $STRANGER)"
  changed "$(tuple 1 $PHONE1)"
  SNMP=(-v3 -e 0x8000000001020304 -l authPriv -u bob -a SHA -A bobs-secret -x AES -X bobs-other-secret)
  changed "$(tuple 2 $PHONE1)"
  SNMP=(-v2c -c wrong)
  changed "$(tuple 2 $PHONE1)"
  SNMP=(-v3 -e 0x8000000001020304 -l authPriv -u bob -a SHA -A not-bobs-secret -x AES -X bobs-other-secret)
  changed "$(tuple 2 $PHONE1)"
  SNMP=(-v2c -c site)
  changed "02006e0024" # half a tuple
  lab_in server env MIBS= snmptrap -Lf "$WORK/snmptrap" "${SNMP[@]}" "$TRAP_TO" 4712 1.3.6.1.2.1.17.0.2

  alarm SEP002414000001 10.1.0.2 13 --udp --rfc3164
  alarm SEP002414000002 10.1.0.3 8 --tcp --rfc5424
  lab_in server logger --server 10.2.0.1 --port 5514 --udp --rfc3164 \
    "*Dec 16 00:36:36.024: %SW_MATM-4-MACFLAP_NOTIF: Host 0024.1400.0003 in vlan 1 is flapping between port Gi0/20 and port Po1"
  lab_in server logger --server 10.2.0.1 --port 5514 --tcp --rfc3164 \
    "*Dec 16 00:36:36.024: %SW_MATM-4-MACFLAP_NOTIF: Host 00de.ad00.0001 in vlan 1 is flapping between port Gi0/20 and port Po1"
  lab_in server logger --server 10.2.0.1 --port 5514 --udp --rfc3164 \
    "%UC_CALLMANAGER-3-EndPointUnregistered: %[DeviceName=SEP[IPAddress="
  lab_phones_kill
  stop_watch 2
  [ -z "${WHY_KEEP:-}" ] || cp "$WORK/records" "$WHY_KEEP/inputs.jsonl"
  check_sums inputs
  expect "inputs: phone 1 lost" "$(records '.type == "loss" and .phone.ip == "10.1.0.2"' | wc -l)" -ge 2
  expect "inputs: the others lost" "$(records '.type == "loss" and .phone.ip != "10.1.0.2"' | wc -l)" -eq 0
  expect "inputs: removals by v2c and v3" \
    "$(records '.type == "mac" and .source == "snmp" and .event == "flushed"' | wc -l)" -eq 2
  expect "inputs: learned by v2c" \
    "$(records '.type == "mac" and .source == "snmp" and .event == "learned"' | wc -l)" -eq 1
  expect "inputs: of phone 1, all of them" \
    "$(records '.type == "mac" and .source == "snmp" and .mac != null and .mac != "'$PHONE1'"' | wc -l)" -eq 0
  expect "inputs: VLAN" \
    "$(records '.type == "mac" and .source == "snmp" and .vlan == 110' | wc -l)" -eq 3
  expect "inputs: topology changes" \
    "$(records '.type == "mac" and .source == "snmp" and .event == "topology_change"' | wc -l)" -eq 1
  expect "inputs: moves by syslog" \
    "$(records '.type == "mac" and .source == "syslog" and .event == "moved" and .mac == "00:24:14:00:00:03"' | wc -l)" -eq 1
  expect "inputs: strangers" "$(grep -c "$STRANGER" "$WORK/records")" -eq 0
  expect "inputs: unregistrations" "$(records '.type == "unregistration"' | wc -l)" -eq 2
  expect "inputs: of phone 1, which lost keepalives" \
    "$(records '.type == "unregistration" and .device == "SEP002414000001"' |
      jq -r '"\(.ip) \(.reason) \(.reason_name) \(.matched_loss)"')" = "10.1.0.2 13 keepAliveTimeout true"
  expect "inputs: of phone 2, which lost none" \
    "$(records '.type == "unregistration" and .device == "SEP002414000002"' |
      jq -r '"\(.ip) \(.reason) \(.reason_name) \(.matched_loss)"')" = "10.1.0.3 8 deviceInitiatedReset false"
}
