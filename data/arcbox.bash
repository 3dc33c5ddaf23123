# bash completion for arcbox
_arcbox() {
    local word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]} previous=
    [ "$COMP_CWORD" -gt 0 ] && previous=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    if [ "$COMP_CWORD" = 1 ]; then
        COMPREPLY=($(compgen -W "run ps stop logs rm gpu doctor bench daemon cdi completion version help" -- "$word"))
        return
    fi
    case $previous in
    --format) COMPREPLY=($(compgen -W "table json" -- "$word")); return ;;
    --gpus) COMPREPLY=($(compgen -W "all count= device=" -- "$word")); return ;;
    --network) COMPREPLY=($(compgen -W "host none" -- "$word")); return ;;
    --mount | -v | --volume | --env-file | --output) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -w | --workdir) COMPREPLY=($(compgen -d -- "$word")); return ;;
    esac
    case $verb in
    run)
        if [[ $word == -* ]]; then
            COMPREPLY=($(compgen -W "--gpu --gpus --mount -v -e --env-file -w -i -t -it -d --rm --name --hostname --network --cpus" -- "$word"))
        else
            COMPREPLY=($(compgen -W host -- "$word") $(compgen -f -- "$word") $(compgen -c -- "$word"))
        fi ;;
    stop | logs) COMPREPLY=($(compgen -W "$(arcbox ps -q 2>/dev/null)" -- "$word")) ;;
    rm) COMPREPLY=($(compgen -W "$(arcbox ps -aq 2>/dev/null)" -- "$word")) ;;
    ps) COMPREPLY=($(compgen -W "-a -q --format" -- "$word")) ;;
    gpu | bench | doctor) COMPREPLY=($(compgen -W "--format" -- "$word")) ;;
    daemon) COMPREPLY=($(compgen -W "start stop status" -- "$word")) ;;
    cdi) COMPREPLY=($(compgen -W "generate --output" -- "$word")) ;;
    completion) COMPREPLY=($(compgen -W "bash zsh fish" -- "$word")) ;;
    help) COMPREPLY=($(compgen -W "run ps stop logs rm gpu doctor bench daemon cdi completion version" -- "$word")) ;;
    esac
}
complete -o default -F _arcbox arcbox
