# SPDX-License-Identifier: LGPL-2.1-or-later
# fish completion for banger: the program itself says what may stand here, names on the bus too.
function __banger_complete
    set -l words (commandline -opc) (commandline -ct)
    for word in (banger __complete $words[2..-1] 2>/dev/null)
        if test "$word" = ":file"
            __fish_complete_path (commandline -ct)
        else
            printf '%s\n' $word
        end
    end
end
complete -c banger -f -a '(__banger_complete)'
