# fish completion for tuntapctl(8), which says itself what may follow.

function __tuntapctl_words
	set -l words (commandline -opc)
	set -l word (commandline -ct)
	for line in ($words[1] complete -- $words[2..-1] "$word" 2>/dev/null)
		switch $line
		case :files
			__fish_complete_path "$word"
		case :folders
			__fish_complete_directories "$word" ''
		case :commands
			__fish_complete_command
		case '*'
			echo $line
		end
	end
end
complete -c tuntapctl -f -a '(__tuntapctl_words)'
