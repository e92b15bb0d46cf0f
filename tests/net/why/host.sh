# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# This host itself drops, each time for another reason, for two seconds or one keepalive in four.

# host NAME MODE REASON [SYMBOL]: in between the functions break_it and mend_it.
host() {
  local name=$1 mode=$2 reason=$3 symbol=${4:-} from
  site "$mode" "${count:-6}"
  server_start sccp
  diagnose_start "${with[@]}"
  phones 1 "${count:-6}" sccp --period 700 --duration 60000
  sleep 2
  break_it
  sleep 2
  mend_it
  after_it
  diagnose_end "$name" 1 3
  from=$(asked '[.timeline[] | select(.drop != null and .drop.reason == "'"$reason"'")] | length')
  expect "$name: losses with the kernel's reason $reason" "$from" -ge 10
  [ -z "$symbol" ] || expect "$name: all of them in $symbol" \
    "$(asked '[.timeline[] | select(.drop != null and .drop.symbol == "'"$symbol"'")] | length')" -eq "$from"
  first_is "$name" in_host_drop high
  says "$name" in_host_drop explanation "$reason"
  expect "$name: phones" "$(finding in_host_drop .phones)" -ge "${at_least:-6}"
  not_found "$name" mac_ageing mac_flush proxy_arp mtu_black_hole middlebox_reset
  high_only "$name" in_host_drop
}

with=()
after_it() { :; }

host_filter() {
  with=(--syslog 10.2.0.1:5514)
  # The server unregisters a phone of these, and one that nobody has seen.
  after_it() {
    sleep 1.5
    alarm SEP002414000001 10.1.0.2 13 --udp --rfc3164
    alarm SEP0024140000FF 10.1.0.200 13 --tcp --rfc5424
  }
  break_it() {
    lab_in box nft -f - <<-EOT
	table inet filter {
		counter dropped { }
		chain forward {
			type filter hook forward priority 0
			tcp dport 2000 @ih,0,32 0x$KEEPALIVE counter name dropped drop
		}
	}
EOT
    HANDLE=$(lab_in box nft -a list chain inet filter forward | sed -nE 's/.*drop # handle ([0-9]+)/\1/p')
  }
  # The rule stays, so that it can be named.
  mend_it() {
    lab_in box nft insert rule inet filter forward tcp dport 2000 accept
    DROPPED=$(lab_in box nft -j list counter inet filter dropped | jq '.nftables[].counter?.packets // empty')
  }
  host host_filter routed NETFILTER_DROP
  expect "host_filter: losses" "$(asked '[.timeline[] | select(.where == "between")] | length')" -eq "$DROPPED"
  expect "host_filter: alarms" "$(asked '[.timeline[] | select(.type == "unregistration") |
    "\(.device) \(.reason_name) \(.matched_loss)"] | sort | join(", ")')" = \
    "SEP002414000001 keepAliveTimeout true, SEP0024140000FF keepAliveTimeout false"
  says host_filter in_host_drop remedy "handle $HANDLE" "table inet filter"
}

host_rp_filter() {
  # For the look backwards alone the phones are elsewhere: what really goes to them has a mark.
  break_it() {
    lab_in box nft 'add table ip replies; add chain ip replies in { type filter hook prerouting priority -150; };
      add rule ip replies in iifname "cucm0" mark set 1'
    lab_in box ip rule add pref 10 fwmark 1 lookup main
    lab_in box ip rule add pref 20 iif cucm0 to 10.1.0.0/16 lookup 100
    lab_in box ip route add 10.1.0.0/16 dev cucm0 table 100
    lab_in box sysctl -q -w net.ipv4.conf.acc0.rp_filter=1
  }
  mend_it() { lab_in box sysctl -q -w net.ipv4.conf.acc0.rp_filter=0; }
  host host_rp_filter routed IP_RPFILTER
  says host_rp_filter in_host_drop remedy rp_filter
}

host_queue() {
  break_it() { lab_in box tc qdisc replace dev cucm0 root pfifo limit 0; }
  mend_it() { lab_in box tc qdisc del dev cucm0 root; }
  # A queue is behind cucm0: what it drops was seen there, and not all of it can be known as lost.
  count=12 at_least=3 host host_queue routed QDISC_DROP
  says host_queue in_host_drop remedy queue
}

# lost_to_cucm N PLACE: how many keepalives of that phone.
lost_to_cucm() {
  asked '[.timeline[] | select(.type == "loss" and .direction == "to_cucm" and .where == "'"$2"'" and
    .phone.ip == "'"$(lab_phone_address "$1")"'")] | length'
}

host_queue_stuck() {
  # Nothing is acknowledged any more: but for the kernel's word nobody could tell what became of it.
  # Of two phones one copy does not even get there: the switch drops it.
  break_it() {
    lab_in box tc qdisc replace dev cucm0 root pfifo limit 0
    for n in 2 5; do
      lab_in switch nft -f - <<-EOT
	table netdev lost {
		counter once$n { }
		chain once$n {
			type filter hook ingress device "p$n" priority 0
			@ih,0,32 0x$KEEPALIVE limit rate 1/day burst 1 packets counter name once$n drop
		}
	}
EOT
    done
  }
  mend_it() { :; }
  host host_queue_stuck routed QDISC_DROP
  says host_queue_stuck in_host_drop remedy queue
  for n in 2 5; do
    expect "host_queue_stuck: phone $n: the switch dropped" \
      "$(lab_in switch nft -j list counter netdev lost "once$n" | jq '.nftables[].counter?.packets // empty')" -eq 1
    expect "host_queue_stuck: phone $n: lost before acc0" "$(lost_to_cucm "$n" phone_side)" -eq 1
    expect "host_queue_stuck: phone $n: lost beyond cucm0, too" "$(lost_to_cucm "$n" cucm_side)" -ge 2
  done
  # (But for what this machine had no room for: then what these links dropped is lost, too.)
  expect "host_queue_stuck: lost elsewhere, beside $(site_dropped) drops of the links" \
    "$(asked '[.timeline[] | select(.type == "loss" and (.where != "cucm_side" or .direction != "to_cucm"))] | length - 2')" \
    -le "$(site_dropped)"
  expect "host_queue_stuck: of the losses before acc0 the queue is not told" \
    "$(asked '[.timeline[] | select(.where == "phone_side" and .direction == "to_cucm" and .drop != null)] | length')" -eq 0
}

host_route() {
  break_it() { lab_in box ip route add blackhole 10.2.0.10; }
  mend_it() { lab_in box ip route del blackhole 10.2.0.10; }
  host host_route routed NOT_SPECIFIED ip_error
  says host_route in_host_drop remedy route
}

host_isolated() {
  break_it() {
    lab_in box bridge link set dev acc0 isolated on
    lab_in box bridge link set dev cucm0 isolated on
  }
  mend_it() { lab_in box bridge link set dev cucm0 isolated off; }
  host host_isolated bridged NOT_SPECIFIED br_handle_frame_finish
  says host_isolated in_host_drop remedy isolated
}
