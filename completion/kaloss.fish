# SPDX-License-Identifier: GPL-2.0-only
# A template: the build fills in the options (scripts/fill.awk), and leaves this line out.
# fish completion for kaloss.

function __kaloss_interfaces
    path basename /sys/class/net/*/
end

function __kaloss_files
    __fish_complete_path (string replace -r '.*[,=]' '' -- (commandline -ct))
end

# The last item of a comma list; the argument is what knows the items.
function __kaloss_list
    set -l before (string replace -r '^--[^=]+=' '' -- (commandline -ct) | string match -r '^.*,')
    for item in ($argv)
        echo "$before$item"
    end
end

complete -c kaloss -f
complete -c kaloss -n __fish_use_subcommand -l help -d 'what there is to do'
complete -c kaloss -n __fish_use_subcommand -l version -d 'print the version'
# @fish-verb@
# @fish-option@
