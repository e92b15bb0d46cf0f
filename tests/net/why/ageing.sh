# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# A switch, or this host's own bridge, forgets a phone sooner than the phone speaks again.

AGEING=1.6 # seconds
# The server asks a phone so long after its last word: twice before it is forgotten, twice after.
OPTIONS_AFTER=700,1300,1900,2500
OPTI=4f505449 KEEPALIVE=04000000

# What the schedule allows to be known of the ageing time: the phone acknowledges within 50 ms, and
# is silent from then on. On a busy machine an OPTIONS is late, and the bounds are closer: never beyond
# the ageing time itself, but for what the bridge's own timer is late.
options_bounds() {
  between "$1: more than" "$(figure mac_ageing ageing_above_s)" 1.2 1.7
  between "$1: at most" "$(figure mac_ageing ageing_at_most_s)" 1.55 2.1
}

# The server's OPTIONS that left it and never reached a phone.
options_lost() {
  local n reached=0
  for ((n = 1; n <= LAB_SITE_PHONES; n++)); do reached=$((reached + $(lab_dropped "phone$n" options))); done
  echo $(($(lab_dropped core options) - reached))
}

# options_site [MODE [OPTIONS]]
options_site() {
  local n
  site "${1:-bridged}" 6
  server_start sip --expires 10000 --options "${2:-$OPTIONS_AFTER}"
  passing core srv0 $OPTI options
  for n in 1 2 3 4 5 6; do passing "phone$n" eth0 $OPTI options; done
}


# The bridge that kaloss itself sits on.
ageing_bridge() {
  options_site
  lab_bridge_ageing box $AGEING acc0
  lab_bg box "$WORK/monitor" bridge monitor fdb
  diagnose_start
  phones 1 6 sip --refresh 3000 --duration 60000
  diagnose_end ageing_bridge 1 17
  expect "ageing_bridge: OPTIONS that the bridge lost" "$(options_lost)" -ge 20
  expect "ageing_bridge: aged, says the bridge" "$(grep -c '^Deleted 00:24:14.*stale' "$WORK/monitor")" -ge 20
  expect "ageing_bridge: flushed, says the bridge" \
    "$(grep '^Deleted 00:24:14' "$WORK/monitor" | grep -vc stale)" -eq 0
  first_is ageing_bridge mac_ageing high
  expect "ageing_bridge: phones" "$(finding mac_ageing .phones)" -eq 6
  options_bounds ageing_bridge
  says ageing_bridge mac_ageing remedy "ageing time" br0
  says_not ageing_bridge in_host_drop remedy "dev cucm0 flood"
  none_against ageing_bridge mac_ageing
  not_found ageing_bridge mac_flush mtu_black_hole
}

# The same where it forgets nobody, and loses one OPTIONS in three by a rule.
ageing_bridge_control() {
  options_site
  lab_bridge_ageing box 300 acc0
  lab_in box nft -f - <<-EOT
	table bridge lab {
		counter by_chance { }
		chain forward {
			type filter hook forward priority 0
			tcp sport 5060 @ih,0,32 0x$OPTI numgen random mod 3 == 0 counter name by_chance drop
		}
	}
EOT
  diagnose_start
  phones 1 6 sip --refresh 3000 --duration 60000
  diagnose_end ageing_bridge_control 1 15
  expect "ageing_bridge_control: lost" "$(lab_dropped box by_chance)" -ge 6
  not_found ageing_bridge_control mac_ageing mac_flush mtu_black_hole
  high_only ageing_bridge_control in_host_drop
}

# A switch between the phones and kaloss, which is asked for its table and its ageing time each second.
ageing_switch() {
  local agent
  options_site bridged 700,1700,2300,2700
  lab_bridge_ageing switch 2 p1 p2 p3 p4 p5 p6
  _lab_addr switch br0 10.1.200.1/16
  _lab_addr box br0 10.1.0.1/16
  lab_bg switch "$WORK/monitor" bridge monitor fdb
  lab_bg switch "$WORK/agent" "$ROOT/tests/net/why/switch_agent.sh" 10.1.200.1 1161 2
  agent=$LAB_LAST_PID
  lab_wait_for "$WORK/agent" ready
  diagnose_start --poll-switch 10.1.200.1:1161 --poll-interval 1s
  phones 1 6 sip --refresh 3000 --duration 60000
  diagnose_end ageing_switch 1 18
  lab_stop "$agent"
  expect "ageing_switch: OPTIONS that the switch lost" "$(options_lost)" -ge 20
  expect "ageing_switch: aged, says the switch" "$(grep -c '^Deleted 00:24:14.*stale' "$WORK/monitor")" -ge 20
  first_is ageing_switch mac_ageing high
  between "ageing_switch: more than" "$(figure mac_ageing ageing_above_s)" 1.6 2.1
  between "ageing_switch: at most" "$(figure mac_ageing ageing_at_most_s)" 1.95 2.5
  between "ageing_switch: set in the switch" "$(figure mac_ageing ageing_set_s)" 2 2
  # This host's bridge is not on that way, and has another ageing time.
  says ageing_switch mac_ageing remedy "ageing time" 10.1.200.1
  says_not ageing_switch mac_ageing remedy br0
  expect "ageing_switch: MACs that vanished, as polling tells" \
    "$(asked '[.timeline[] | select(.type == "mac" and .source == "snmp")] | length')" -ge 10
  not_found ageing_switch mac_flush in_host_drop mtu_black_hole
}

# Phones whose periods lie on both sides of an ageing time of 1.7 s. The last two are as slow as the
# first, but have something else to say all the time.
PERIODS=(2000 2000 2400 2400 3000 800 1200 1500 2400 3000)
security_phones() {
  local i
  for i in 9 10; do
    lab_bg "phone$i" /dev/null bash -c "while sleep 0.4; do echo >/dev/udp/$LAB_SERVER/9; done"
  done
  for i in "${!PERIODS[@]}"; do
    lab_phone $((i + 1)) sccp --period "${PERIODS[i]}" --duration 60000
    sleep "0.$((i % 3 + 2))"
  done
}

ageing_security() {
  site bridged ${#PERIODS[@]}
  server_start sccp
  lab_secure_ports 1700 1 2 3 4 5 6 7 8 9 10
  diagnose_start
  security_phones
  diagnose_end ageing_security 1 17
  expect "ageing_security: first copies that the ports lost" "$(lab_dropped switch port_security)" -ge 20
  first_is ageing_security mac_ageing high
  # (What is due each 1.5 s may once be late by 0.2 s: then there is one more.)
  between "ageing_security: phones" "$(finding mac_ageing .phones)" 5 6
  between "ageing_security: more than" "$(figure mac_ageing ageing_above_s)" 1.4 1.75
  between "ageing_security: at most" "$(figure mac_ageing ageing_at_most_s)" 1.65 2.15
  says ageing_security mac_ageing remedy "ageing time" "port security"
  says_not ageing_security mac_ageing remedy br0
  high_only ageing_security mac_ageing
}

# The same phones where no port forgets them so soon, and one keepalive in seven is lost.
ageing_security_control() {
  site bridged ${#PERIODS[@]}
  server_start sccp
  lab_secure_ports 30000 1 2 3 4 5 6 7 8 9 10
  lab_in switch nft -f - <<-EOT
	table bridge lab {
		counter by_chance { }
		chain forward {
			type filter hook forward priority 0
			tcp dport 2000 @ih,0,32 0x$KEEPALIVE numgen random mod 5 == 0 counter name by_chance drop
		}
	}
EOT
  diagnose_start
  security_phones
  diagnose_end ageing_security_control 1 17
  expect "ageing_security_control: lost" "$(lab_dropped switch by_chance)" -ge 6
  expect "ageing_security_control: lost by ports" "$(lab_dropped switch port_security)" -le 2
  not_found ageing_security_control mac_ageing mac_flush in_host_drop mtu_black_hole
  high_only ageing_security_control phone_side_loss
}

# The bridge forgets a phone at random, each about every three seconds, long before its ageing time.
OPTIONS_SOON=500,900,1300,1700
flush() {
  local forgetter
  options_site bridged $OPTIONS_SOON
  lab_bridge_ageing box 300 acc0
  lab_bg box "$WORK/monitor" bridge monitor fdb
  lab_bg box "$WORK/forgetter" bash -c 'RANDOM=7; while sleep 0.5; do
    bridge fdb del 00:24:14:00:00:0$((RANDOM % 6 + 1)) dev acc0 master; done'
  forgetter=$LAB_LAST_PID
  diagnose_start
  phones 1 6 sip --refresh 2000 --duration 60000
  diagnose_end flush 1 18
  lab_stop "$forgetter"
  expect "flush: OPTIONS that the bridge lost" "$(options_lost)" -ge 12
  expect "flush: flushed, says the bridge" \
    "$(grep '^Deleted 00:24:14' "$WORK/monitor" | grep -vc stale)" -ge 12
  first_is flush mac_flush high
  not_found flush mac_ageing mtu_black_hole
}

# The bridge forgets as often, but floods what then comes; and one OPTIONS in three is lost elsewhere.
flush_control() {
  local forgetter
  options_site bridged $OPTIONS_SOON
  lab_bridge_ageing box 300
  lab_in switch nft -f - <<-EOT
	table bridge lab {
		counter by_chance { }
		chain forward {
			type filter hook forward priority 0
			tcp sport 5060 @ih,0,32 0x$OPTI numgen random mod 3 == 0 counter name by_chance drop
		}
	}
EOT
  lab_bg box "$WORK/monitor" bridge monitor fdb
  lab_bg box "$WORK/forgetter" bash -c 'RANDOM=3; while sleep 0.5; do
    bridge fdb del 00:24:14:00:00:0$((RANDOM % 6 + 1)) dev acc0 master; done'
  forgetter=$LAB_LAST_PID
  diagnose_start
  phones 1 6 sip --refresh 2000 --duration 60000
  diagnose_end flush_control 1 18
  lab_stop "$forgetter"
  expect "flush_control: lost" "$(lab_dropped switch by_chance)" -ge 10
  expect "flush_control: flushed, says the bridge" \
    "$(grep '^Deleted 00:24:14' "$WORK/monitor" | grep -vc stale)" -ge 12
  not_found flush_control mac_flush mac_ageing in_host_drop mtu_black_hole
  high_only flush_control phone_side_loss
}

# A switch outside forgets them all twice, and says it by traps. Those may be late by seconds, as long
# as everything here takes: so they carry no high confidence.
flush_switch() {
  local n teller
  site routed 8
  server_start sip --expires 10000 --options $OPTIONS_AFTER
  passing core srv0 $OPTI options
  for n in 1 2 3 4 5 6 7 8; do passing "phone$n" eth0 $OPTI options; done
  lab_bridge_ageing switch 300 p1 p2 p3 p4 p5 p6 p7 p8
  _lab_addr switch br0 10.1.200.1/16
  diagnose_start --trap 10.1.0.1:1162
  lab_bg switch "$WORK/teller" "$ROOT/tests/net/why/tell_removals.sh" udp:10.1.0.1:1162
  teller=$LAB_LAST_PID
  phones 1 8 sip --refresh 3000 --duration 60000
  # In no step with the phones' three seconds.
  for n in 8 10.7; do
    sleep $n
    lab_in switch ip link set br0 type bridge fdb_flush
  done
  diagnose_end flush_switch 1 4
  lab_stop "$teller"
  expect "flush_switch: OPTIONS that the switch lost" "$(options_lost)" -ge 6
  expect "flush_switch: MACs told of" "$(grep -c '^told' "$WORK/teller")" -ge 14
  expect "flush_switch: removals told by traps" \
    "$(asked '[.timeline[] | select(.type == "mac" and .source == "snmp" and .event == "flushed")] | length')" -eq \
    "$(grep -c '^told' "$WORK/teller")"
  first_is flush_switch mac_flush medium
  not_found flush_switch mac_ageing in_host_drop mtu_black_hole
}
