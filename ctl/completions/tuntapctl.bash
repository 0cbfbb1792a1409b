# bash completion for tuntapctl(8), which says itself what may follow.

_tuntapctl() {
	local line
	COMPREPLY=()
	while IFS= read -r line; do
		case $line in
		:files)
			compopt -o filenames
			mapfile -t COMPREPLY < <(compgen -f -- "$2") ;;
		:folders)
			compopt -o filenames
			mapfile -t COMPREPLY < <(compgen -d -- "$2") ;;
		:commands)
			mapfile -t COMPREPLY < <(compgen -c -- "$2") ;;
		*)
			COMPREPLY+=("${line%%$'\t'*}") ;;
		esac
	done < <("$1" complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _tuntapctl tuntapctl
