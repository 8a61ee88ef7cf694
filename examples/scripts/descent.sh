#!/bin/sh
# Fits y = a x + b to five points by gradient descent, in awk.
# Usage: descent.sh [-r RATE] [-m MOMENTUM] [-n STEPS]
set -eu
rate=0.05 momentum=0.0 steps=10
while getopts r:m:n: option; do
    case $option in
        r) rate=$OPTARG ;;
        m) momentum=$OPTARG ;;
        n) steps=$OPTARG ;;
        *) exit 2 ;;
    esac
done
awk -v rate="$rate" -v momentum="$momentum" -v steps="$steps" 'BEGIN {
    count = split("0 1 2 3 4", x); split("1.1 2.9 5.2 6.8 9.1", y)
    for (step = 1; step <= steps; step++) {
        da = db = error = 0
        for (i = 1; i <= count; i++) {
            off = a * x[i] + b - y[i]
            da += off * x[i]; db += off; error += off * off
        }
        va = momentum * va - rate * da / count; a += va
        vb = momentum * vb - rate * db / count; b += vb
        print "step", step, "of", steps, "error:", error / count
        fflush()
    }
}'
