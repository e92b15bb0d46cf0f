# SPDX-License-Identifier: GPL-2.0-only
# A template: the build fills in the options (scripts/fill.awk), and leaves this line out.
# bash completion for kaloss. With or without the package bash-completion.

# _kaloss_options VERB: its options, in $options.
_kaloss_options() {
  options=''
  case $1 in
  # @bash-options@
  esac
}

# _kaloss_value VERB OPTION: what its value is, in $kind (empty: it takes none) and $words.
_kaloss_value() {
  kind='' words=''
  case "$1 $2" in
  # @bash-value@
  esac
}

# _kaloss_list TEXT WORD…: completes the last item of a comma list.
_kaloss_list() {
  local text=$1 before='' word
  shift
  [[ $text != *,* ]] || before=${text%,*},
  for word; do
    [[ $before$word != "$text"* ]] || COMPREPLY+=("$before$word")
  done
}

_kaloss_interfaces() {
  local path names=()
  for path in /sys/class/net/*/; do
    path=${path%/}
    names+=("${path##*/}")
  done
  _kaloss_list "$1" "${names[@]}"
}

_kaloss_files() {
  local text=$1 files=()
  mapfile -t files < <(compgen -f -- "${text##*,}")
  _kaloss_list "$text" "${files[@]}"
  compopt -o filenames 2>/dev/null
}

_kaloss() {
  local cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
  local verb='' options kind words
  COMPREPLY=()

  # --option=value comes in three words.
  if [ "$cur" = = ]; then
    cur=''
  elif [ "$before" = = ]; then
    before=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  if [ "$COMP_CWORD" -gt 1 ]; then
    verb=${COMP_WORDS[1]}
    _kaloss_value "$verb" "$before"
  else
    kind=''
  fi
  case $kind in
  interfaces) _kaloss_interfaces "$cur" ;;
  files) _kaloss_files "$cur" ;;
  words) mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur") ;;
  text) ;;
  *)
    if [ -z "$verb" ]; then
    # @bash-verbs@
    else
      _kaloss_options "$verb"
    fi
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
    ;;
  esac
}

complete -F _kaloss kaloss
