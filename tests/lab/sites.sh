# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
# Two branches and a data centre, to be sourced after lab.sh: network namespaces with a wide area
# network between them, which has the NATS server and the joiners as well.
#
#	north_phones eth0 -- acc0 north up0 -- n0 wan c0 -- up0 centre cucm0 -- eth0 server
#	south_phones eth0 -- acc0 south up0 -- s0 wan
#
# Agents tap acc0 in the branches and cucm0 in the centre; what wan drops is lost between them.
# Needs KALOSS and LAB_BIN; all files go to SITES_WORK.

SITES_NATS=nats://10.99.0.1:4222
SITES_SERVER=10.2.0.10
declare -ga SITES_ENV=()
declare -gA SITES_PID=() # of agents, joiners, the NATS server

# _sites_branch NAME NUMBER: phones 10.1NUMBER.0.2 to 5.
_sites_branch() {
  local name=$1 n=$2 up=${1:0:1}0
  _lab_netns "${name}_phones" && _lab_netns "$name" &&
    _lab_link "${name}_phones" eth0 - "$name" acc0 - &&
    _lab_link "$name" up0 - wan "$up" - &&
    _lab_addr "${name}_phones" eth0 "10.1$n.0.2/24" "10.1$n.0.3/24" "10.1$n.0.4/24" "10.1$n.0.5/24" &&
    _lab_addr "$name" acc0 "10.1$n.0.1/24" && _lab_addr "$name" up0 "10.2$n.0.2/24" &&
    _lab_addr wan "$up" "10.2$n.0.1/24" &&
    lab_in "${name}_phones" ip route add default via "10.1$n.0.1" &&
    lab_in "$name" ip route add default via "10.2$n.0.1" &&
    lab_in wan ip route add "10.1$n.0.0/24" via "10.2$n.0.2" &&
    lab_in "$name" sysctl -q -w net.ipv4.ip_forward=1
}

# Builds the network. Call from the main shell; ends with lab_down.
sites_up() {
  LAB_OWNER=$BASHPID
  trap lab_down EXIT
  _lab_netns wan && _lab_netns centre && _lab_netns server &&
    _lab_link centre up0 - wan c0 - && _lab_link centre cucm0 - server eth0 - &&
    _lab_addr wan c0 10.31.0.1/24 && _lab_addr centre up0 10.31.0.2/24 &&
    _lab_addr centre cucm0 10.2.0.1/24 && _lab_addr server eth0 "$SITES_SERVER/24" &&
    lab_in wan ip addr add 10.99.0.1/32 dev lo &&
    lab_in server ip route add default via 10.2.0.1 &&
    lab_in centre ip route add default via 10.31.0.1 &&
    lab_in wan ip route add 10.2.0.0/24 via 10.31.0.2 &&
    lab_in centre sysctl -q -w net.ipv4.ip_forward=1 &&
    lab_in wan sysctl -q -w net.ipv4.ip_forward=1 &&
    _sites_branch north 1 && _sites_branch south 2
}

# Starts, or starts again, the NATS server. Its files stay.
sites_nats() {
  mkdir -p "$SITES_WORK/nats"
  lab_bg wan "$SITES_WORK/nats.log" nats-server -a 10.99.0.1 -p 4222 -js -sd "$SITES_WORK/nats"
  SITES_PID[nats]=$LAB_LAST_PID
  lab_wait_for "$SITES_WORK/nats.log" 'Server is ready' 60
}

# sites_agent NS SIDE IF [OPTION…]: in the environment SITES_ENV, where it is set.
sites_agent() {
  local ns=$1 side=$2 if=$3
  shift 3
  lab_bg "$ns" "$SITES_WORK/agent-$ns.log" env "${SITES_ENV[@]}" "$KALOSS" agent --side "$side" \
    --interface "$if" --site "$ns" --agent "$ns-1" --nats "$SITES_NATS" --batch 500ms "$@"
  SITES_PID[$ns]=$LAB_LAST_PID
}

# sites_joiner NAME [OPTION…]
sites_joiner() {
  local name=$1
  shift
  lab_bg wan "$SITES_WORK/join-$name.log" "$KALOSS" join --nats "$SITES_NATS" --name "$name" \
    --format jsonl --output "$SITES_WORK/join-$name.jsonl" "$@"
  SITES_PID[$name]=$LAB_LAST_PID
  lab_wait_for "$SITES_WORK/join-$name.log" ', ready' 60
}

# sites_drop NAME INTERFACE to_cucm|to_phone EVERY: wan drops every so many keepalives (answers) that
# come in (go out) at the interface of a branch, counted in NAME, and all of them in NAME_seen.
sites_drop() {
  local name=$1 if=$2 direction=$3 every=$4 what side
  if [ "$direction" = to_cucm ]; then
    what='@ih,0,32 0x04000000 @ih,32,32 0x00000000 @ih,64,32 0x00000000' side="iifname $if tcp dport"
  else
    what='@ih,0,32 0x04000000 @ih,32,32 0x00000000 @ih,64,32 0x00010000' side="oifname $if tcp sport"
  fi
  lab_in wan nft -f - <<-EOF
	table inet lab {
	  counter $name { }
	  counter ${name}_seen { }
	  chain rule_$name {
	    @ih,96,8 >= 0 return
	    counter name ${name}_seen
	    numgen inc mod $every 0 counter name $name drop
	  }
	  chain forwarded {
	    type filter hook forward priority 0; policy accept;
	    $side 2000 $what jump rule_$name
	  }
	}
	EOF
}

# All records of the stream, to FILE.
sites_records() {
  lab_in wan "$LAB_BIN/stream-lines" "$SITES_NATS" KALOSS_REC 'kaloss.v1.rec.>' >"$1"
}

# sites_wait_for_losses COUNT SECONDS: until the records have that many losses.
sites_wait_for_losses() {
  local tries=$(($2 * 2)) n
  while [ $((tries--)) -gt 0 ]; do
    sites_records "$SITES_WORK/records" &&
      n=$(jq -s '[.[] | select(.type == "loss")] | length' "$SITES_WORK/records") &&
      [ "$n" -ge "$1" ] && return 0
    sleep 0.5
  done
  return 1
}
