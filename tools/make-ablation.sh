#!/bin/sh
# What each part of the recipe is worth, and what more data would bring: the tables of
# docs/learning.md. Short runs on both folds; $1: the data folder, $2: what make-models.sh left.
set -eu
data=$1
runs=$2
python=.venv-learn/bin/python
tools="nice $python -m lipsync_tools.cli"
out=$runs/ablation
mkdir -p "$out"
common="--phones $runs/phones.json --cache $runs/cache --threads 1 --recipe tools/recipes/mouth.yaml"
steps=400
bare="phone_weight=0 channel_weight=0 recorded_share=0"
plain="$bare warp=1 tempo=1 tilt_db=0 ripple_db=0 noise_share=0 echo_share=0 rest_share=0.05"
plain="$plain wire_share=0"
voices="--voices $data --ear $runs/ear"

train() { # name, fold, arguments
    name=$1 fold=$2
    shift 2
    case $fold in a) who=s1,s2,s4 ;; b) who=s1,s3,s5,s31 ;; *) who=$fold ;; esac
    run=$out/$name-$fold
    [ -e "$run/done" ] || {
        $tools train "$data" --speakers $who -o "$run" $common "$@" >"$run.log" 2>&1 || {
            tail -n 5 "$run.log" >&2
            return 1
        }
        $tools convert "$run" -o "$run/bundle" --name "$name-$fold" --licence CC-BY-4.0 --force \
            --calibrate "$data/grid/audio" "$data/speech" >>"$run.log" 2>&1
        touch "$run/done"
    }
    echo "$run"
}

fold() { # every step of the recipe on one fold
    train film "$1" --no-synthetic --set steps=$steps $plain
    train copies "$1" --no-synthetic --set steps=$steps $bare
    train trunk "$1" $voices --no-synthetic --set steps=$steps
    train synthetic "$1" $voices --set steps=$steps
    train taught "$1" $voices --teacher "$runs/$1-teacher" --set steps=$steps
}
fold a &
first=$!
fold b
wait $first

judge() { # name, bundles...
    name=$1
    shift
    [ -e "$out/$name.json" ] || {
        $tools evaluate "$@" --data "$data" --phones "$runs/phones.json" --stage all --clips 10 \
            --baselines none --json >"$out/$name.part"
        mv "$out/$name.part" "$out/$name.json"
    }
}
steps_judged() {
    for name in film copies trunk synthetic taught; do
        judge $name "$out/$name-a/bundle" "$out/$name-b/bundle"
    done
}
more() { # more film, and more voices, on the first fold
    for clips in 5 20 60; do
        train "clips-$clips" a $voices --most-clips $clips --set steps=$steps
        judge "clips-$clips" "$out/clips-$clips-a/bundle"
    done
    for n in 1 4 12; do
        train "voices-$n" a $voices --most-voices $n --set steps=$steps
        judge "voices-$n" "$out/voices-$n-a/bundle"
    done
    train faces-1 s1 $voices --most-clips 60 --set steps=$steps
    judge faces-1 "$out/faces-1-s1/bundle"
    judge most "$out/synthetic-a/bundle"
}
steps_judged &
first=$!
more
wait $first
$python -m lipsync_tools.ablation "$out" --draw docs/learning-more.png
