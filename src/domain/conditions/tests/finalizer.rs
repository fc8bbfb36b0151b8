//! What is said of a server whose finalizer could not be set.

use super::*;

#[test]
fn a_finalizer_that_could_not_be_set_is_reported_and_the_server_is_not_ready() {
    let (observed, applied) = of_running("");
    let conditions = with_inputs(&observed, &applied, |inputs| {
        inputs.cleanup.finalizer_error = Some("the finalizer could not be changed: forbidden".into());
        conditions(inputs, &[], 3, at(0))
    });
    assert_eq!(
        one(&conditions, PROGRESSING),
        "True ApplyFailed: Failed to reconcile DittoServer files: the finalizer could not be changed: forbidden"
    );
    assert_eq!(condition(&conditions, READY).status, "False");
}
