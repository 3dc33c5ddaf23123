# fish completion for arcbox
set -l verbs run ps stop logs rm gpu doctor bench daemon cdi completion version help
complete -c arcbox -f -n "not __fish_seen_subcommand_from $verbs" -a "$verbs"
complete -c arcbox -n "__fish_seen_subcommand_from run" -l gpu -d "give it the GPU"
complete -c arcbox -n "__fish_seen_subcommand_from run" -l gpus -x -a "all count= device="
complete -c arcbox -n "__fish_seen_subcommand_from run" -s v -l mount -r -d "HOST:GUEST[:ro]"
complete -c arcbox -n "__fish_seen_subcommand_from run" -s e -x -d "set a variable"
complete -c arcbox -n "__fish_seen_subcommand_from run" -s w -r -d "working folder"
complete -c arcbox -n "__fish_seen_subcommand_from run" -s i
complete -c arcbox -n "__fish_seen_subcommand_from run" -s t -d "terminal"
complete -c arcbox -n "__fish_seen_subcommand_from run" -s d -d "detached"
complete -c arcbox -n "__fish_seen_subcommand_from run" -l rm -d "forget it when it ends"
complete -c arcbox -n "__fish_seen_subcommand_from run" -l name -x
complete -c arcbox -n "__fish_seen_subcommand_from run" -l network -x -a "host none"
complete -c arcbox -n "__fish_seen_subcommand_from run" -l cpus -x
complete -c arcbox -f -n "__fish_seen_subcommand_from stop logs" -a "(arcbox ps -q)"
complete -c arcbox -f -n "__fish_seen_subcommand_from rm" -a "(arcbox ps -aq)"
complete -c arcbox -f -n "__fish_seen_subcommand_from daemon" -a "start stop status"
complete -c arcbox -f -n "__fish_seen_subcommand_from cdi" -a generate
complete -c arcbox -f -n "__fish_seen_subcommand_from completion" -a "bash zsh fish"
complete -c arcbox -f -n "__fish_seen_subcommand_from help" -a "$verbs"
complete -c arcbox -n "__fish_seen_subcommand_from ps gpu bench" -l format -x -a "table json"
