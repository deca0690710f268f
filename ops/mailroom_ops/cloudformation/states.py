"""The states of a stack that can neither serve nor be updated, and the way out of each.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
"""

__all__ = ["GOOD_STATES", "way_out"]

GOOD_STATES = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "IMPORT_COMPLETE")
# The first creation failed: CloudFormation lets such a stack be deleted and nothing else.
NEVER_CREATED = ("CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED")


def way_out(stack: str, region: str, state: str) -> str:
    """Return what to do about a stack in this state; empty if it can be deployed."""
    command = f"aws cloudformation {{}} --stack-name {stack} --region {region}"
    if state in NEVER_CREATED:
        return f"See its events, delete it with `{command.format('delete-stack')}`, and deploy again."
    if state == "UPDATE_ROLLBACK_FAILED":
        continue_ = command.format("continue-update-rollback")
        return f"See its events, remove the cause, and run `{continue_}` before the next deployment."
    if state.endswith("_IN_PROGRESS") and state not in (*GOOD_STATES, "REVIEW_IN_PROGRESS"):
        return "Wait until that is done."
    return ""
