# bash completion for tuntapctl(8), which says itself what may follow.

_tuntapctl() {
	local line before=
	COMPREPLY=()
	# --socket=PATH is one word where COMP_WORDBREAKS has no =.
	[[ $2 == --*=* ]] && before=${2%%=*}=
	while IFS= read -r line; do
		case $line in
		:files)
			compopt -o filenames
			mapfile -t COMPREPLY < <(compgen -P "$before" -f -- \
				"${2#"$before"}") ;;
		:folders)
			compopt -o filenames
			mapfile -t COMPREPLY < <(compgen -P "$before" -d -- \
				"${2#"$before"}") ;;
		:commands)
			mapfile -t COMPREPLY < <(compgen -c -- "$2") ;;
		*)
			COMPREPLY+=("$before${line%%$'\t'*}") ;;
		esac
	done < <("$1" complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _tuntapctl tuntapctl
