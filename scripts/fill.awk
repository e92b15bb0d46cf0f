# SPDX-License-Identifier: GPL-2.0-only
#
# Puts the options into manual pages and completions, from what `kaloss VERB --help` says:
#
#   awk -f scripts/fill.awk DIRECTORY/watch DIRECTORY/check … TEMPLATE
#
# Each file but the last one is the help of the verb that it is called after. The template goes to
# standard output; of its lines, a comment that is only "@FORM VERB@" is replaced by FORM for each
# option of the verb, or for the verb itself; "@FORM@" does so for all verbs. A comment that begins with
# "A template:" is left out. FORM is one of
#
#   mdoc          an option as an item of a list: its name, argument and text
#   keys          the same as a line of kaloss.conf(5)
#   reloads       the keys that SIGHUP reloads, as a sentence's end
#   bash-verbs    the verbs, in $options
#   bash-options  a branch of a `case`: a verb's options, in $options
#   bash-value    a branch of a `case`: what an option's value is, in $kind and $words
#   zsh-verb      a verb, for _describe
#   zsh-function  a function that completes what follows a verb
#   fish-verb     a `complete` command for a verb
#   fish-option   a `complete` command for an option
#
# What a value is follows from how the help writes it: IF are interfaces, FILE files, a|b|c these
# words, and anything else is not completed; WORD[,WORD...] is a list.

function fail(text) {
	print "fill.awk: " text > "/dev/stderr"
	failed = 1
	exit 1
}

BEGIN {
	template = ARGV[ARGC - 1]
}

# ---- reading the help ----

FNR == 1 && FILENAME != template {
	verb = FILENAME
	sub(/.*\//, "", verb)
	verbs[++verb_count] = verb
}

FILENAME != template && /^  --/ {
	name = substr($1, 3)
	count[verb]++
	names[verb, count[verb]] = name
	# An option without an argument is followed by the blanks that align the texts.
	rest = substr($0, length(name) + 6)
	arguments[verb, name] = ""
	if (rest !~ /^ /) {
		arguments[verb, name] = $2
		rest = substr(rest, length($2) + 1)
	}
	sub(/^ +/, "", rest)
	texts[verb, name] = rest
	next
}

# A text that goes on.
FILENAME != template && /^   / && count[verb] {
	sub(/^ +/, "")
	texts[verb, name] = texts[verb, name] " " $0
	next
}

# What the verb does: its first sentence, which stands between two empty lines.
FILENAME != template && !count[verb] && FNR > 2 && $0 != "" && $0 != "Options:" {
	summary[verb] = summary[verb] (summary[verb] == "" ? "" : " ") $0
	next
}

FILENAME != template && /^SIGHUP reloads/ {
	sub(/^[^:]*: /, "")
	sub(/\.$/, "")
	reloads[verb] = $0
	next
}

FILENAME != template { next }

# ---- writing ----

function is_list(argument) { return argument ~ /\[,/ }

# interfaces, files, words, or text
function kind_of(argument) {
	if (argument ~ /^IF($|\[)/)
		return "interfaces"
	if (argument ~ /^FILE($|\[)/)
		return "files"
	return argument ~ /\|/ ? "words" : "text"
}

function words_of(argument) {
	gsub(/\|/, " ", argument)
	return argument
}

function mdoc_escape(text) {
	gsub(/\\/, "\\e", text)
	gsub(/--/, "\\-\\-", text)
	return text ~ /^[.']/ ? "\\&" text : text
}

# A sentence of its own, in lines that are not too long.
function mdoc_text(text,    n, i, parts, line) {
	text = toupper(substr(text, 1, 1)) substr(text, 2)
	if (text !~ /[.!?]$/)
		text = text "."
	n = split(text, parts, / +/)
	line = ""
	for (i = 1; i <= n; i++) {
		if (line != "" && length(line) + length(parts[i]) > 76) {
			print mdoc_escape(line)
			line = ""
		}
		line = line (line == "" ? "" : " ") parts[i]
		# A new sentence begins a new line.
		if (parts[i] ~ /[.!?]$/) {
			print mdoc_escape(line)
			line = ""
		}
	}
	if (line != "")
		print mdoc_escape(line)
}

function mdoc_argument(argument,    item) {
	if (argument == "")
		return ""
	if (kind_of(argument) == "words") {
		gsub(/\|/, " Ns | Ns Cm ", argument)
		return " Cm " argument
	}
	if (!is_list(argument))
		return " Ar " argument
	item = argument
	sub(/\[.*/, "", item)
	return " Ar " item " Ns Oo , Ns Ar " item " Ns ... Oc"
}

function write_mdoc(verb, name) {
	print ".It Fl \\-" name mdoc_argument(arguments[verb, name])
	mdoc_text(texts[verb, name])
}

function write_keys(verb, name) {
	print ".It Cm " name " No =" (arguments[verb, name] == "" ? " Cm yes Ns | Ns Cm no" \
								 : mdoc_argument(arguments[verb, name]))
	mdoc_text(texts[verb, name])
}

function write_reloads(verb,    n, i, keys) {
	n = split(reloads[verb], keys, /, /)
	for (i = 1; i <= n; i++) {
		if (n > 1 && i == n)
			print "and"
		print ".Cm " keys[i] (i == n ? " ." : i < n - 1 ? " ," : "")
	}
}

function zsh_escape(text) {
	gsub(/[\[\]:\\]/, "\\\\&", text)
	gsub(/'/, "'\\''", text)
	return text
}

function write_zsh_option(verb, name,    argument, kind, action) {
	argument = arguments[verb, name]
	kind = kind_of(argument)
	if (argument == "") {
		print "    '--" name "[" zsh_escape(texts[verb, name]) "]' \\"
		return
	}
	if (kind == "words")
		action = "(" words_of(argument) ")"
	else if (kind == "text")
		action = " "
	else
		action = (is_list(argument) ? "_sequence " : "") "_kaloss_" kind
	sub(/\[.*/, "", argument)
	print "    '--" name "=[" zsh_escape(texts[verb, name]) "]:" \
		(kind == "words" ? name : zsh_escape(argument)) ":" action "' \\"
}

function write_zsh_function(verb,    i) {
	print "_kaloss-" verb "() {"
	print "  _arguments \\"
	for (i = 1; i <= count[verb]; i++)
		write_zsh_option(verb, names[verb, i])
	print "    '(- *)--version[print the version]'"
	print "}"
}

function fish_escape(text) {
	gsub(/\\/, "\\\\", text)
	gsub(/'/, "\\'", text)
	return text
}

function fish_complete(verb, name, values, text) {
	print "complete -c kaloss -n '__fish_seen_subcommand_from " verb "' -l " name values \
		" -d '" fish_escape(text) "'"
}

function write_fish_option(verb, name,    argument, kind, values) {
	argument = arguments[verb, name]
	kind = kind_of(argument)
	if (argument == "")
		values = ""
	else if (kind == "words")
		values = " -x -a '" words_of(argument) "'"
	else if (kind == "text")
		values = " -x"
	else if (kind == "files" && !is_list(argument))
		values = " -r -F"
	else
		values = " -x -a '(__kaloss_list __kaloss_" kind ")'"
	fish_complete(verb, name, values, texts[verb, name])
}

function write_bash_verbs(    i, line) {
	for (i = 1; i <= verb_count; i++)
		line = line verbs[i] " "
	print "    options='" line "--help --version'"
}

function write_bash_options(verb,    i, line) {
	for (i = 1; i <= count[verb]; i++)
		line = line "--" names[verb, i] " "
	print "  " verb ") options='" line "--version' ;;"
}

function write_bash_value(verb, name,    argument, kind) {
	argument = arguments[verb, name]
	if (argument == "")
		return
	kind = kind_of(argument)
	print "  '" verb " --" name "') kind=" kind \
		(kind == "words" ? " words='" words_of(argument) "'" : "") " ;;"
}

function write_option(form, verb, name) {
	# What only the command line has.
	if (form == "keys" && name ~ /^(help|config|check-config)$/)
		return
	if (form == "mdoc")
		write_mdoc(verb, name)
	else if (form == "keys")
		write_keys(verb, name)
	else if (form == "bash-value")
		write_bash_value(verb, name)
	else if (form == "fish-option")
		write_fish_option(verb, name)
	else
		fail(FILENAME ":" FNR ": no such form: " form)
}

function write_verb(form, verb,    i) {
	if (!count[verb])
		fail(FILENAME ":" FNR ": no options of " verb)
	if (form == "bash-options") {
		write_bash_options(verb)
	} else if (form == "reloads") {
		if (!reloads[verb])
			fail(FILENAME ":" FNR ": " verb " reloads nothing")
		write_reloads(verb)
	} else if (form == "zsh-verb") {
		print "    '" verb ":" zsh_escape(summary[verb]) "'"
	} else if (form == "zsh-function") {
		write_zsh_function(verb)
	} else if (form == "fish-verb") {
		print "complete -c kaloss -n __fish_use_subcommand -a " verb " -d '" \
			fish_escape(summary[verb]) "'"
		fish_complete(verb, "version", "", "print the version")
	} else {
		for (i = 1; i <= count[verb]; i++)
			write_option(form, verb, names[verb, i])
	}
}

/^[.\\"# ]*A template: / { next }

/^[.\\"# ]*@[a-z -]+@$/ {
	gsub(/^[^@]*@|@$/, "")
	if ($1 == "bash-verbs") {
		write_bash_verbs()
	} else if (NF == 2) {
		write_verb($1, $2)
	} else {
		for (v = 1; v <= verb_count; v++)
			write_verb($1, verbs[v])
	}
	next
}

{ print }

END {
	if (failed)
		exit 1
}
