# fish completion for tuntapctl(8), which says itself what may follow.

function __tuntapctl_words
	set -l words (commandline -opc)
	set -l word (commandline -ct)
	# --socket=PATH is one word: the path is completed.
	set -l before (string match -r -- '^--[^=]*=' "$word")
	set -l value (string replace -r -- '^--[^=]*=' '' "$word")
	for line in ($words[1] complete -- $words[2..-1] "$word" 2>/dev/null)
		switch $line
		case :files
			__fish_complete_path "$value"
		case :folders
			__fish_complete_directories "$value" ''
		case :commands
			__fish_complete_command
		case '*'
			echo $line
		end
	end | while read -l each
		echo "$before$each"
	end
end
complete -c tuntapctl -f -a '(__tuntapctl_words)'
