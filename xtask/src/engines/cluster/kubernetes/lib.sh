# For scripts on the first node.
until_nodes() { until [ "$(kubectl get nodes --no-headers 2> /dev/null | grep -cw Ready)" = "$1" ]; do sleep 0.3; done; }
# pod NAME: with the rest of its spec on stdin
pod() {
    {
        printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: %s, labels: {app: %s}}\nspec:\n  terminationGracePeriodSeconds: 1\n' "$1" "$1"
        printf '  automountServiceAccountToken: false\n'
        cat
    } | kubectl apply -f - > /dev/null
}
phase() { kubectl get pod "$1" -o 'jsonpath={.status.phase}'; }
until_phase() { until [ "$(phase "$1")" = "$2" ]; do sleep 0.2; done; }
# until_pods APP N: none that is going is left beside them
until_pods() { until [ "$(kubectl get pods -l "app=$1" --no-headers 2> /dev/null | wc -l)" = "$2" ]; do sleep 0.3; done; }
ready() { kubectl wait --for=condition=Ready --timeout=60s "$@" > /dev/null; }
# once NAME 'COMMAND' ['MORE OF THE CONTAINER'] ['MORE OF THE SPEC']: runs it to its end and says what it said
once() {
    pod "$1" << END
  restartPolicy: Never
  containers: [{name: c, image: bb:1, command: [sh, -c, 'exec 2>&1; $2'] ${3:+, $3}}]
$4
END
    until case $(phase "$1") in Succeeded | Failed) ;; *) false ;; esac do sleep 0.1; done
    kubectl logs "$1"
    of_runc "$1"
    kubectl delete pod "$1" --wait=false > /dev/null
}
# Which pods were not ours: that version of runc leaves their cgroup of the unified hierarchy, which this kubelet does not know.
of_runc() { kubectl get pod "$1" -o json | jq -r 'select(.spec.runtimeClassName == "runc") | .metadata.uid' >> /share/runc.uids; }
# until_event OBJECT WORDS: an event of it has these, and is said
until_event() { until kubectl get events --field-selector "involvedObject.name=$1" -o 'jsonpath={range .items[*]}{.reason}: {.message}{"\n"}{end}' | grep -e "$2"; do sleep 0.3; done; }
remove() { kubectl delete --wait=true --timeout=60s "$@" > /dev/null; }
# where: the nodes of the pods of `web` that are ready, one line each
where() { kubectl get pods -l app=web -o json | jq -r '.items[] | select(.metadata.deletionTimestamp == null and (.status.containerStatuses // [] | all(.ready)) and .status.phase == "Running") | .spec.nodeName'; }
