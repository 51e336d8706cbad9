#!/bin/sh
# Learns models/mouth and models/mouth-live from the data folder $1 alone; what is made on the way
# stays in $2, and the same command goes on where it stopped. Two folds are learned beside the
# shipped models, to judge by speakers that they do not know. Three runs at a time.
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
voices="--voices $data --ear $runs/ear"
teacher() { # fold, speakers
    train "$1-teacher" teacher "$data" --speakers "$2" $voices
}
pupil() { # fold, kind, recipe, speakers
    train "$1-$2" "$3" "$data" --speakers "$4" $voices --teacher "$runs/$1-teacher"
}
all_at_once() { # runs each line of its input beside the others; fails if one does
    jobs=""
    while read -r line; do
        $line &
        jobs="$jobs $!"
    done
    for job in $jobs; do wait "$job"; done
}

fold_a=s1,s2,s4 fold_b=s1,s3,s5,s31 everybody=s1,s2,s3,s4,s5,s31
train ear ear
all_at_once <<EOT
teacher a $fold_a
teacher b $fold_b
teacher all $everybody
EOT
all_at_once <<EOT
pupil a mouth mouth $fold_a
pupil b mouth mouth $fold_b
pupil all mouth mouth $everybody
EOT
all_at_once <<EOT
pupil a live mouth-live $fold_a
pupil b live mouth-live $fold_b
pupil all live mouth-live $everybody
EOT

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
        --phones "$runs/phones.json" --ear "$runs/ear" --stage all --clips 20 --baselines all --json >"$runs/$kind.json"
    convert all-$kind "models/$name" --name "$name" --version 0.3.0 --metrics "$runs/$kind.json"
done
