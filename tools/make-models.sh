#!/bin/sh
# Learns models/mouth and models/mouth-live from the data folder $1 alone; what is made on the way
# stays in $2, and the same command goes on where it stopped. Two folds are learned beside the
# shipped models, to judge by speakers that they do not know.
set -eu
data=$1
runs=$2
python=.venv-learn/bin/python
tools="nice $python -m lipsync_tools.cli"
mkdir -p "$runs"

[ -e "$runs/phones.done" ] || {
    nice $python -m lipsync_tools.phones --data "$data" -o "$runs/phones.json"
    touch "$runs/phones.done"
}
common="--phones $runs/phones.json --voices $data --cache $runs/cache --threads 1"

train() { # run, recipe, more arguments
    run=$runs/$1 recipe=tools/recipes/$2.yaml
    shift 2
    [ -e "$run/done" ] || {
        $tools train "$@" -o "$run" --recipe "$recipe" $common >"$run.log" 2>&1 || {
            tail -n 5 "$run.log" >&2
            return 1
        }
        touch "$run/done"
    }
    echo "learned $run"
}
both() { # fold, speakers: mouth and mouth-live, one beside the other
    train "$1-mouth" mouth "$data" --speakers "$2" --ear "$runs/ear" &
    first=$!
    train "$1-live" mouth-live "$data" --speakers "$2" --ear "$runs/ear"
    wait $first
}

train ear ear
both a s1,s2,s4
both b s1,s3,s5,s31
both all s1,s2,s3,s4,s5,s31

sounds="$data/grid/audio $data/speech"
convert() { # run, bundle, more arguments
    run=$runs/$1 bundle=$2
    shift 2
    $tools convert "$run" -o "$bundle" --calibrate $sounds --licence CC-BY-4.0 "$@"
}
for kind in mouth live; do
    name=mouth
    [ $kind = mouth ] || name=mouth-live
    for fold in a b; do
        [ -e "$runs/$fold-$kind/bundle/card.yaml" ] ||
            convert $fold-$kind "$runs/$fold-$kind/bundle" --name "$name-fold-$fold"
    done
    $tools evaluate "$runs/a-$kind/bundle" "$runs/b-$kind/bundle" --data "$data" \
        --phones "$runs/phones.json" --stage all --json >"$runs/$kind.json"
    convert all-$kind "models/$name" --name "$name" --version 0.2.0 --metrics "$runs/$kind.json"
done
