#!/bin/sh
# What only AWS can settle (docs/reliability.md, "Not tested"), on throw-away stacks. Three hours,
# most of them waiting, and a few dollars. It stops at the first step that is not as it should be.
#
#   SENDER=heist@example.com tests/on_aws/rehearse.sh
#
# SENDER is verified by SES in the region of your AWS settings; mails go to SES's mailbox simulator.
set -eu
cd "$(dirname "$0")/../.."
: "${SENDER:?name an address that SES has verified}"
STAGE=rehearsal
export PYTHONPATH=layers/heist_core

step() { printf '\n== %s\n' "$*"; }
state() {
  aws cloudformation describe-stacks --stack-name "heist-core-$1" \
    --query 'Stacks[0].StackStatus' --output text
}
deploy() {
  .local/env/sam/bin/sam deploy --config-env dev --stack-name "heist-core-$1" \
    --s3-prefix "heist-core-$1" --tags application=heist-core stage="$1" \
    --parameter-overrides Stage="$1" SenderEmail="$SENDER" HeistCooldownHours=0 \
    HeistTargetCooldownHours=0 HeistMinTargetPoints=0 HeistRateLimitPerMinute=1000
}
heists() { .local/env/dev/bin/python -m tests.on_aws.heists --stage "$STAGE" "$@"; }
mapping() {
  aws lambda update-event-source-mapping --uuid "$(aws lambda list-event-source-mappings \
    --function-name "heist-core-$STAGE-notify-players" \
    --query 'EventSourceMappings[0].UUID' --output text)" "$1" > /dev/null
}

make -s tools
step "the account: sandbox, concurrency, rights"
./heist preflight --stage "$STAGE"
PYTHON="$PWD/.local/env/uv/bin/python" .local/env/sam/bin/sam build --config-env dev

step "a first deployment that fails leaves no wedged stack: its log group is there already"
aws logs create-log-group --log-group-name "/aws/lambda/heist-core-$STAGE-get-tokens"
! deploy "$STAGE"
test "$(state "$STAGE")" = ROLLBACK_COMPLETE
aws logs delete-log-group --log-group-name "/aws/lambda/heist-core-$STAGE-get-tokens"
aws cloudformation delete-stack --stack-name "heist-core-$STAGE"
aws cloudformation wait stack-delete-complete --stack-name "heist-core-$STAGE"

step "deployed, and answering"
deploy "$STAGE"
./heist smoke --stage "$STAGE" --apply

step "a thousand heists: real conflicts, partial batches, mails, and points that add up"
heists --pairs 10 --each 100

step "a mail after 15 idle minutes, by instances that were frozen"
sleep 900
heists --pairs 1 --each 1

step "a stream that nobody reads: the sweeper does it, and an alarm goes off within two hours"
mapping --no-enabled
heists --pairs 1 --each 5
alarm=$(aws cloudformation describe-stack-resource --stack-name "heist-core-$STAGE" \
  --logical-resource-id NothingDeliveredAlarm \
  --query StackResourceDetail.PhysicalResourceId --output text)
aws cloudwatch wait alarm-exists --alarm-names "$alarm" --state-value ALARM || {
  sleep 7200
  aws cloudwatch wait alarm-exists --alarm-names "$alarm" --state-value ALARM
}
mapping --enabled

step "a restored table, audited and put into service beside the first"
./heist drill --stage "$STAGE" --keep --apply --json > .local/drill.json
copy=$(.local/env/dev/bin/python -c 'import json; print(json.load(open(".local/drill.json"))["copy"])')
./heist adopt "$copy" --stage "${STAGE}2" --apply
deploy "${STAGE}2"
./heist audit --stage "${STAGE}2"
./heist smoke --stage "${STAGE}2" --apply

step "All is as it should be. Left are the stacks heist-core-$STAGE and heist-core-${STAGE}2, and"
echo "their tables and pools, which outlive them: take off their protection to remove them."
