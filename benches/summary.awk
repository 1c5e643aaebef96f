# The last step that kept the objective, of each run, as a table. Reads lines of: kind, server, what it does, its steps' file.
BEGIN { FS = "\t" }
{
    kind[NR] = $1; server[NR] = $2; does[NR] = $3
    knee[NR] = 0; cpu[NR] = memory[NR] = "-"
    row = ""; broken = 0
    while ((getline line < $4) > 0) {
        if (line ~ /objective broken/) {
            row = ""; broken = 1
        } else if (line ~ /^ *[0-9]+ +[0-9]+ +[0-9]+ /) {
            take(row, NR)
            row = line
        }
    }
    close($4)
    take(row, NR)
    atleast[NR] = broken ? "" : "≥ "
    if (server[NR] == "offhook") ours[$1] = knee[NR]
}
END {
    print "| server | does | calls per core | of a core per call | memory per call | offhook serves |"
    print "| --- | --- | --- | --- | --- | --- |"
    for (run = 1; run <= NR; run++) {
        ratio = knee[run] && ours[kind[run]] ? sprintf("%.1f × as many", ours[kind[run]] / knee[run]) : "-"
        printf "| %s | %s | %s%d | %s | %s | %s |\n", server[run], does[run], atleast[run], knee[run], cpu[run], memory[run], ratio
    }
}
# calls, failed, gaps, three times with their units, cores, then share of a core and memory with their units
function take(row, run,   field) {
    if (row == "") return
    split(row, field, " ")
    knee[run] = field[1]; cpu[run] = field[11] " %"; memory[run] = field[13] " " field[14]
}
